import { describe, expect, test } from 'vitest';
import { NotifyType } from '../../src/ike/numbers.ts';
import { notify } from '../../src/ike/payloads.ts';
import { encodeMessage, type IkeSpi } from '../../src/ike/message.ts';
import { beginWatch, observe, type Watch } from '../../src/ike/liveness.ts';
import { instant } from '../../src/time.ts';
import { reaches, stage } from './collision.ts';
import { classic, isInit, nameOf } from './pair.ts';

describe('the rule', () => {
  test('what goes out and comes back gives no reason to ask', () => {
    expect(checks([out(1), back(1), out(1), back(1), out(5), back(2)])).toEqual([]);
  });

  test('what goes out and does not come back is asked about after 300 ms', () => {
    // Packets leave at 0 s and are answered; those from 3 s on are not.
    const at = checks([out(1), back(1), nothing, out(1), out(1)]);
    expect(at[0]).toBe(4_300);
  });

  test('where nothing has ever come in, more time is given', () => {
    expect(checks([out(1), out(1), out(1), out(1)])[0]).toBe(3_000);
  });

  test('traffic that goes one way only is asked about less and less', () => {
    const at = checks(Array.from({ length: 600 }, () => out(1)));
    expect(at.length).toBeLessThan(10);
    expect(at.at(-1)).toBeGreaterThan(200_000);
  });

  test('silence is looked at seldom', () => {
    let watch = beginWatch({ at: instant(0), packetsIn: 0n, packetsOut: 0n });
    for (let i = 0; i < 10; i++) watch = observe(watch, { ...watch.sample, at: watch.lookAt });
    expect(watch.isIdle).toBe(true);
    expect(watch.lookAt - watch.sample.at).toBe(4_000);
  });
});

describe('an SA whose other end may be gone', () => {
  test('the peer is there: one question, one answer, and all stays as it is', () => {
    const { world, a } = stage();
    const [child] = a.children;
    world.pass(10_000);
    const before = world.sent.length;
    unanswered(a);
    world.pass(3_000);
    expect(world.sent.slice(before).map((d) => nameOf(d).replace(/ \d+$/, ''))).toEqual([
      'INFORMATIONAL request',
      'INFORMATIONAL response',
    ]);
    expect(a.children).toEqual([child]);
  });

  test('the peer was killed and has begun anew: the two are encrypted again within a second', () => {
    const { world, a, b } = stage();
    world.pass(10_000);
    world.nodes.splice(world.nodes.indexOf(b), 1);
    const again = world.node('b', b.text, { ...classic, ...identityOf(b) });
    again.keysOf = b.keysOf;
    unanswered(a);
    world.pass(1_000);
    expect(reaches(a, again) && reaches(again, a)).toBe(true);
    world.pass(120_000);
    expect(a.children).toHaveLength(1);
    expect(again.children).toHaveLength(1);
  });

  test('the answers are lost for a while: the new IKE SA is not needed, and one stays', () => {
    const { world, a, b } = stage();
    world.pass(10_000);
    world.network = () => [];
    unanswered(a);
    world.pass(1_500);
    expect(world.sent.filter((d) => isInit(d)).length).toBeGreaterThan(2);
    world.network = () => [20];
    world.pass(120_000);
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
    expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions]).toEqual([1, 1]);
    expect(reaches(a, b) && reaches(b, a)).toBe(true);
  });

  test('an unprotected INVALID_SPI has us ask, once in a while, and ends nothing (RFC 7296 §2.4)', () => {
    const { world, a, b } = stage();
    world.pass(10_000);
    const hint = (): void => {
      const octets = encodeMessage(
        {
          spiI: 1n as IkeSpi,
          spiR: 0n as IkeSpi,
          exchange: 37,
          fromInitiator: true,
          response: false,
          messageId: 0,
        },
        [notify(NotifyType.INVALID_SPI, new Uint8Array(4))],
      );
      const [from, to] = [b.address, a.address].map((address) => ({ address, port: 500 }));
      if (from && to) world.deliver({ from, to, octets, at: world.now });
    };
    const before = world.sent.length;
    for (let i = 0; i < 20; i++) {
      hint();
      world.pass(400);
    }
    expect(world.sent.length - before).toBeLessThanOrEqual(2);
    expect(a.children).toHaveLength(1);
    // From an address that has no SA with us it is nothing at all.
    const elsewhere = world.node('c', '198.18.0.3', classic);
    hint();
    expect(elsewhere.effects).toEqual([]);
  });
});

type Second = (s: { in: bigint; out: bigint }) => void;

const out =
  (n: number): Second =>
  (s) => {
    s.out += BigInt(n);
  };
const back =
  (n: number): Second =>
  (s) => {
    s.out += BigInt(n);
    s.in += BigInt(n);
  };
const nothing: Second = () => undefined;

/** What happens in each second, seen through samples taken when they are due: when to check, ms. */
function checks(seconds: readonly Second[]): number[] {
  const counts = { in: 0n, out: 0n };
  let watch: Watch = beginWatch({ at: instant(0), packetsIn: 0n, packetsOut: 0n });
  const found: number[] = [];
  let done = 0;
  while (watch.lookAt < seconds.length * 1_000) {
    for (; done * 1_000 < watch.lookAt; done++) seconds[done]?.(counts);
    watch = observe(watch, { at: watch.lookAt, packetsIn: counts.in, packetsOut: counts.out });
    if (watch.verdict === 'check') found.push(watch.sample.at);
  }
  return found;
}

function unanswered(node: ReturnType<typeof stage>['a']): void {
  const [child] = node.children;
  if (child) node.input({ kind: 'unanswered', child });
}

function identityOf(node: ReturnType<typeof stage>['a']) {
  return node.identity ? { identity: node.identity } : {};
}
