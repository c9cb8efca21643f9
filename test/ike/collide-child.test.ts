import { describe, expect, test } from 'vitest';
import { NotifyType } from '../../src/ike/numbers.ts';
import { notify } from '../../src/ike/payloads.ts';
import { reaches, stage, type Stage } from './collision.ts';
import type { Node } from './pair.ts';

/** Both ends at the same child at once (RFC 7296 §2.8.1, §2.25.1). */

describe('both rekey the child', () => {
  // Whose nonce is the lowest of the four, and whose new child goes for it.
  test.each([
    ['Ni1', 'a'],
    ['Nr2', 'a'],
    ['Ni2', 'b'],
    ['Nr1', 'b'],
  ] as const)('the lowest nonce is %s: what %s asked for is deleted by it', (lowest, loser) => {
    const s = stage();
    const { a, b, rekeyChild, arrives } = s;
    const old = a.children[0];
    // req1: CREATE_CHILD_SA { N(REKEY_SA), SA, Ni1, KEi, TSi, TSr } -->
    drawing(a, lowest === 'Ni1', () => {
      rekeyChild(a);
    });
    //      <-- req2: CREATE_CHILD_SA { N(REKEY_SA), SA, Ni2, KEi, TSi, TSr }
    drawing(b, lowest === 'Ni2', () => {
      rekeyChild(b);
    });
    // req2 arrives; --> resp2: { SA, Nr1, KEr, TSi, TSr }: a has noticed
    drawing(a, lowest === 'Nr1', () => {
      arrives(b, 'CREATE_CHILD_SA request');
    });
    // req1 arrives; <-- resp1: { SA, Nr2, KEr, TSi, TSr }: b has noticed
    drawing(b, lowest === 'Nr2', () => {
      arrives(a, 'CREATE_CHILD_SA request');
    });
    expectTraffic(s);
    // resp1 arrives at a, resp2 at b: both know all four nonces.
    arrives(b, 'CREATE_CHILD_SA response');
    expectTraffic(s);
    arrives(a, 'CREATE_CHILD_SA response');
    expectTraffic(s);
    const [winner, loses] = loser === 'a' ? [b, a] : [a, b];
    expect(loses.story.some((t) => t.includes('this one has the lowest nonce and goes'))).toBe(true);
    const stays = winner.children.at(-1);
    // INFORMATIONAL { D(redundant) } and INFORMATIONAL { D(old) } cross.
    arrives(loses, 'INFORMATIONAL request');
    expectTraffic(s);
    arrives(winner, 'INFORMATIONAL request');
    expectTraffic(s);
    arrives(a, 'INFORMATIONAL response');
    arrives(b, 'INFORMATIONAL response');
    expectTraffic(s);
    expect(s.world.wire).toEqual([]);
    expect(winner.children).toEqual([stays]);
    expect(stays?.id).not.toBe(old?.id);
    s.ends();
    expect(a.children).toHaveLength(1);
  });

  test('req1 is lost: b is through before it hears of it, and says CHILD_SA_NOT_FOUND', () => {
    const s = stage();
    const { a, b, rekeyChild, arrives, loses } = s;
    // req1: CREATE_CHILD_SA { N(REKEY_SA), … } --> (lost)
    rekeyChild(a);
    const req1 = loses(a, 'CREATE_CHILD_SA request');
    //      <-- req2: CREATE_CHILD_SA { N(REKEY_SA), … }
    rekeyChild(b);
    arrives(b, 'CREATE_CHILD_SA request');
    // resp2 -->
    arrives(a, 'CREATE_CHILD_SA response');
    //      <-- req3: INFORMATIONAL { D(old) }
    arrives(b, 'INFORMATIONAL request');
    // resp3 -->
    arrives(a, 'INFORMATIONAL response');
    expectTraffic(s);
    // req1 again -->
    s.world.deliver(req1);
    //      <-- resp1: { N(CHILD_SA_NOT_FOUND) }
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.story.some((t) => t.includes('CHILD_SA_NOT_FOUND'))).toBe(true);
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect(a.children).toHaveLength(1);
  });

  test('req1 arrives while b deletes the old one: TEMPORARY_FAILURE, which a can forget', () => {
    const s = stage();
    const { a, b, rekeyChild, arrives } = s;
    // req1 -->          <-- req2
    rekeyChild(a);
    rekeyChild(b);
    arrives(b, 'CREATE_CHILD_SA request');
    // resp2 overtakes req1 -->
    const [req1] = s.world.wire.splice(0, 1);
    arrives(a, 'CREATE_CHILD_SA response');
    //      <-- req3: INFORMATIONAL { D(old) } is on its way; req1 arrives
    if (req1) s.world.deliver(req1);
    //      <-- resp1: { N(TEMPORARY_FAILURE) } comes before or after req3
    arrives(b, 'INFORMATIONAL request');
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.story.some((t) => t.includes('TEMPORARY_FAILURE'))).toBe(true);
    arrives(a, 'INFORMATIONAL response');
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect(a.children).toHaveLength(1);
    // It does not ask again for what is done.
    expect(a.story.filter((t) => t.includes('→ CREATE_CHILD_SA'))).toHaveLength(1);
  });

  test('a peer that does not know the rule and deletes neither: both go after a while', () => {
    const s = stage({ limits: { redundantMs: 3_000 } }, { limits: { redundantMs: 400_000 } });
    const { a, b, rekeyChild, arrives, loses } = s;
    drawing(a, false, () => {
      rekeyChild(a);
    });
    drawing(b, true, () => {
      rekeyChild(b);
    });
    arrives(b, 'CREATE_CHILD_SA request');
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(b, 'CREATE_CHILD_SA response');
    // b never gets resp2, so it neither compares nor deletes; a has won.
    loses(a, 'CREATE_CHILD_SA response');
    arrives(a, 'INFORMATIONAL request');
    arrives(b, 'INFORMATIONAL response');
    s.world.network = (d) => (d.from.address === b.address && d.octets.length > 100 ? [] : [1]);
    s.world.pass(5_000);
    expect(a.kernel.size).toBe(1);
  });
});

describe('one rekeys the child that the other deletes', () => {
  test('the delete arrives first: the rekey is told CHILD_SA_NOT_FOUND', () => {
    const s = stage();
    const { a, b, rekeyChild, deleteChild, arrives } = s;
    // req1: CREATE_CHILD_SA { N(REKEY_SA), … } -->
    rekeyChild(a);
    //      <-- req2: INFORMATIONAL { D(old) }; its kernel has lost it already
    deleteChild(b);
    // resp2: { D(old) } as usual -->
    arrives(b, 'INFORMATIONAL request');
    expect(a.kernel.size).toBe(0);
    //      <-- resp1: { N(CHILD_SA_NOT_FOUND) }
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(b, 'CREATE_CHILD_SA response');
    arrives(a, 'INFORMATIONAL response');
    expect(a.story.some((t) => t.includes('CHILD_SA_NOT_FOUND'))).toBe(true);
    expect(s.world.wire).toEqual([]);
    s.ends();
    expect(a.children).toEqual([]);
  });

  test('the peer has lost the child and did not say so: there is a new one from scratch (§2.25)', () => {
    const s = stage();
    const { a, b, rekeyChild, deleteChild, arrives, loses } = s;
    deleteChild(b);
    // req2: INFORMATIONAL { D(old) } is lost, and with it what b knew.
    loses(b, 'INFORMATIONAL request');
    // req1: CREATE_CHILD_SA { N(REKEY_SA), … } -->
    rekeyChild(a);
    arrives(a, 'CREATE_CHILD_SA request');
    //      <-- resp1: { N(CHILD_SA_NOT_FOUND) }
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.kernel.size).toBe(0);
    // CREATE_CHILD_SA { SA, Ni, KEi, TSi, TSr } -->
    arrives(a, 'CREATE_CHILD_SA request');
    //      <-- { SA, Nr, KEr, TSi, TSr }
    arrives(b, 'CREATE_CHILD_SA response');
    expect(a.children).toHaveLength(1);
    s.ends();
    expect(a.children).toHaveLength(1);
  });

  test('a child that is being deleted is not rekeyed: TEMPORARY_FAILURE', () => {
    const s = stage();
    const { a, b, rekeyChild, arrives } = s;
    rekeyChild(a);
    // req1 --> <-- resp1; then a deletes the old one
    arrives(a, 'CREATE_CHILD_SA request');
    arrives(b, 'CREATE_CHILD_SA response');
    // req2: INFORMATIONAL { D(old) } -->     <-- req3: CREATE_CHILD_SA { N(REKEY_SA, old) }
    const said = b.story.length;
    b.input({ kind: 'expired', spi: oldSpi(b), hard: false });
    if (s.world.wire.some((d) => d.from.address === b.address)) {
      arrives(b, 'CREATE_CHILD_SA request');
      arrives(a, 'CREATE_CHILD_SA response');
      expect(b.story.slice(said).some((t) => t.includes(`TEMPORARY_FAILURE`))).toBe(true);
    }
    s.ends();
    expect(a.children).toHaveLength(1);
  });
});

test('both ask for a new child at once: one is enough', () => {
  for (const lowest of ['a', 'b']) {
    const s = stage();
    const { a, b, deleteChild } = s;
    deleteChild(a);
    s.world.settle();
    expect([a.kernel.size, b.kernel.size]).toEqual([0, 0]);
    const [ka, kb] = [a.keysOf(b.address), b.keysOf(a.address)];
    a.nonces = lowest === 'a' ? 'low' : 'high';
    b.nonces = 'high';
    // CREATE_CHILD_SA { SA, Ni1, … } -->     <-- CREATE_CHILD_SA { SA, Ni2, … }
    const attempts = [a.initiate(b, ka)];
    b.nonces = lowest === 'b' ? 'low' : 'high';
    a.nonces = 'high';
    attempts.push(b.initiate(a, kb));
    b.nonces = 'high';
    s.world.settle();
    expect(a.established.some((e) => e.attempt === attempts[0])).toBe(true);
    expect(b.established.some((e) => e.attempt === attempts[1])).toBe(true);
    s.ends();
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
  }
});

test('a peer that says TEMPORARY_FAILURE for minutes is out of step, and the IKE SA is closed (§2.25)', () => {
  const s = stage({ limits: { busyMs: 20_000 } }, { keyLog: true });
  s.world.meddle(s.b, (payloads, header) =>
    header.response && header.exchange === 36 ? [notify(NotifyType.TEMPORARY_FAILURE)] : payloads,
  );
  s.rekeyChild(s.a);
  s.world.pass(400_000);
  expect(s.a.story.some((t) => t.includes('the two ends are out of step'))).toBe(true);
  expect(s.a.endpoint.counts.sessions).toBe(0);
});

function drawing(node: Node, low: boolean, step: () => void): void {
  node.nonces = low ? 'low' : 'high';
  step();
  node.nonces = 'high';
}

function oldSpi(node: Node): number {
  return [...node.kernel.values()][0]?.child.inbound.spi ?? 0;
}

/** Nothing that either sends at this moment is lost. */
function expectTraffic({ a, b }: Stage): void {
  expect([reaches(a, b), reaches(b, a)]).toEqual([true, true]);
}
