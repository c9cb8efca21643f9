import { afterEach, expect, test } from 'vitest';
import { parseHosts, type Hosts } from '../../src/dns/hosts.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { Priority } from '../../src/kernel/bands.ts';
import { FakeKernel } from '../../src/kernel/fake.ts';
import { hostPrefix } from '../../src/net/prefix.ts';
import { whyName } from '../../src/oe/explain.ts';
import { noKernel } from '../../src/oe/io/no-kernel.ts';
import { systemRandom } from '../../src/oe/io/random.ts';
import { controlRoutes, type PolicyEdge } from '../../src/oe/io/routes.ts';
import { Runtime, type Edge } from '../../src/oe/io/runtime.ts';
import type { Dig } from '../../src/oe/dig.ts';
import type { Status } from '../../src/oe/status.ts';
import type { Why } from '../../src/oe/why.ts';
import { signingDate } from '../dns/zone.ts';
import { anchors, bob, bogusName, plainName, reply, resolverAt } from '../sim/internet.ts';
import { policyWith, address, name } from './stage.ts';
import { queryMessage } from '../dns/query.ts';

const running: Runtime[] = [];

afterEach(async () => {
  for (const runtime of running.splice(0)) await runtime.stop(1_000);
});

test('a query on real timers is answered with what was proved', async () => {
  const { ask } = await started();
  const answer = await ask(plainName);
  expect(answer.rcode).toBe(0);
  expect(answer.answer.map((r) => r.type)).toEqual([Type.A]);
});

test('a bogus name is SERVFAIL', async () => {
  const { ask } = await started();
  expect((await ask(bogusName)).rcode).toBe(2);
});

test('the hosts file is asked what is new in it before every question', async () => {
  const tables = ['198.18.7.1 nas.example', undefined, '198.18.7.1 nas.example\n198.18.7.2 nas.example', ''];
  const changed = (): Hosts | undefined => {
    const text = tables.shift();
    return text === undefined ? undefined : parseHosts(text);
  };
  const { ask, runtime } = await started(new FakeKernel({ random: systemRandom }), [], { changed });
  const counts: number[] = [];
  for (let i = 0; i < 4; i++) counts.push((await ask('nas.example')).answer.length);
  expect(counts).toEqual([1, 1, 2, 0]);
  tables.push('198.18.7.1 nas.example');
  await runtime.look(name('nas.example'));
  expect(whyName(runtime.agent.view, name('nas.example'))).toMatchObject({
    verdict: { state: 'clear', code: 'hosts-file' },
    questions: [
      { type: 'A', status: 'indeterminate', answers: ['nas.example A 198.18.7.1'] },
      { type: 'AAAA', answers: [] },
    ],
  });
});

test('a stop takes the rules of ours out of the kernel, and what an earlier agent left too', async () => {
  const kernel = new FakeKernel({ random: systemRandom });
  const { runtime } = await started(kernel);
  expect(kernel.snapshotSync().policies.length).toBeGreaterThan(0);
  kernel.allocateSpiSync(address('198.18.1.2'), bob.address);
  kernel.applySync([
    {
      op: 'addPolicy',
      policy: {
        direction: 'out',
        source: hostPrefix(address('198.18.1.2')),
        destination: hostPrefix(address('198.18.7.7')),
        priority: Priority.block,
        action: 'block',
      },
    },
  ]);
  await runtime.stop(1_000);
  expect(kernel.snapshotSync()).toEqual({ states: [], policies: [] });
});

test('without a kernel that has IPsec it is a validating stub, and a private name is refused', async () => {
  const kernel = noKernel('this kernel has no NETLINK_XFRM');
  const { ask } = await started(kernel, [[bob.name, 'private']]);
  expect((await ask(plainName)).rcode).toBe(0);
  expect((await ask(bob.name)).rcode).toBe(2);
});

test('the control API tells status and why, and refuses what is no name', async () => {
  const { runtime } = await started();
  const routes = controlRoutes(runtime, noEdge, () => ({
    upSeconds: 1,
    listening: [],
    upstreams: [],
    hostKey: null,
    esp: { ipv4: true, ipv6: true },
    complaints: [],
    notes: [],
  }));
  const get = async (path: string, query: string): Promise<unknown> => {
    const answer = await routes[path]?.(new URLSearchParams(query), new AbortController().signal);
    return answer?.ok === true ? answer.body : answer;
  };
  const why = (await get('/v1/why', `name=${plainName}`)) as Why;
  expect(why.verdict).toMatchObject({ state: 'clear', code: 'no-key' });
  expect(why.questions.map((q) => [q.type, q.status])).toContainEqual(['IPSECKEY', 'secure']);
  const status = (await get('/v1/status', '')) as Status;
  expect(status).toMatchObject({ version: 1, peers: [], health: { policyDefault: 'private-or-clear' } });
  expect(status.summary).toContain('1 name without a key');
  expect(await get('/v1/why', 'name=a..b')).toMatchObject({ ok: false, status: 400, code: 'name-invalid' });
  expect(await get('/v1/why', 'name=198.18.55.55')).toMatchObject({ ok: false, status: 404 });
  const dig = (await get('/v1/dig', `name=${plainName}`)) as Dig;
  expect(dig).toMatchObject({ version: 1, type: 'A', rcode: 'NOERROR', status: 'secure', ede: null });
  expect(dig.flags).toContain('ad');
  const path: string[] = [];
  for (let zone = dig.chain[0]; zone; zone = zone.below[0]) path.push(`${zone.zone} ${zone.status}`);
  expect(path).toEqual(['. secure', 'org secure', 'example.org secure']);
  expect(dig.chain[0]?.below[0]?.below[0]?.proves.join()).toContain(`${plainName} A`);
  expect(dig.chain[0]?.keys[0]?.algorithm).toBe('RSASHA256');
  const bogusDig = (await get('/v1/dig', `name=${bogusName}`)) as Dig;
  expect(bogusDig).toMatchObject({ rcode: 'SERVFAIL', status: 'bogus', answer: [], ede: { code: 6 } });
  expect(await get('/v1/dig', `name=${bogusName}&cd=1`)).toMatchObject({
    rcode: 'NOERROR',
    status: 'bogus',
    answer: [expect.stringContaining(bogusName), expect.stringContaining('RRSIG')],
  });
  expect(await get('/v1/dig', `name=nobody.${plainName}&type=txt`)).toMatchObject({
    type: 'TXT',
    rcode: 'NXDOMAIN',
    status: 'secure',
  });
  expect(await get('/v1/dig', 'name=198.18.55.55')).toMatchObject({
    name: '55.55.18.198.in-addr.arpa',
    type: 'PTR',
    rcode: 'NXDOMAIN',
  });
  expect(await get('/v1/dig', `name=${plainName}&type=AAA`)).toMatchObject({
    ok: false,
    code: 'type-invalid',
    message: 'AAA is no record type. Did you mean AAAA?',
  });
  expect(await get('/v1/forgive', 'address=nowhere')).toMatchObject({ ok: false, code: 'address-invalid' });
  expect(runtime.agent.recordsOf(name(plainName))).not.toEqual([]);
});

const noEdge: PolicyEdge = {
  file: undefined,
  remarks: () => [],
  reload: () => Promise.reject(new Error('there is nothing to read')),
};

/** A runtime whose kernel and upstream live in this process; its clock and timers are real. */
async function started(
  kernel: Edge['kernel'] = new FakeKernel({ random: systemRandom }),
  rules: Parameters<typeof policyWith>[0] = [],
  hosts?: Edge['hosts'],
): Promise<{ readonly runtime: Runtime; readonly ask: (name: string) => Promise<Message> }> {
  const waiting = new Map<number, (octets: Uint8Array) => void>();
  const runtime: Runtime = new Runtime(
    {
      kernel,
      answer: (query, octets) => waiting.get(query)?.(octets),
      upstreams: {
        ask: ({ ask, octets, server }) => {
          setImmediate(() => {
            runtime.input({ kind: 'reply', ask, octets: reply(octets, server.transport) });
          });
        },
        release: () => undefined,
      },
      ike: undefined,
      keyLog: () => undefined,
      hosts,
      log: (event) => {
        if (event.event === 'agent.fault') throw new Error(String(event['error']));
      },
      wallOffset: signingDate - Math.floor(Date.now() / 1_000),
    },
    {
      locals: [address('198.18.1.2')],
      upstreams: [{ endpoint: resolverAt, transport: 'udp' }],
      anchors,
      random: systemRandom,
      identity: undefined,
      capabilities: await kernel.capabilities(),
      keyLog: false,
      ports: { ike: 500, natt: 4500 },
      policy: policyWith(rules),
      budgetMs: 100,
      privateBudgetMs: 200,
    },
  );
  running.push(runtime);
  await runtime.start();
  let nextQuery = 1;
  const ask = (text: string): Promise<Message> =>
    new Promise((resolve, reject) => {
      const query = nextQuery++;
      waiting.set(query, (octets) => {
        const message = decodeMessage(octets);
        if (message.ok) resolve(message.value);
        else reject(message.error);
      });
      const octets = encodeMessage(
        queryMessage({ id: query, questions: [{ name: name(text), type: Type.A, class: Class.IN }] }),
      );
      runtime.input({ kind: 'query', query, octets, limitOctets: 1_232 });
    });
  return { runtime, ask };
}
