import { expect, test } from 'vitest';
import { Type } from '../../src/dns/types.ts';
import type { AgentView } from '../../src/oe/agent-types.ts';
import { statusOf, whyAddress, whyName } from '../../src/oe/explain.ts';
import { defaultPolicy } from '../../src/oe/policy.ts';
import {
  address,
  addressSet,
  bogus,
  childTo,
  key,
  keySet,
  name,
  policyWith,
  secure,
  Stage,
} from './stage.ts';

const host = 'www.example.org';
const there = '198.18.2.10';
const health = {
  upSeconds: 1,
  listening: ['127.0.0.1:53'],
  upstreams: ['198.18.9.9:53'],
  hostKey: null,
  esp: { ipv4: true, ipv6: true },
  complaints: [],
  notes: [],
};

test('a proved peer is shown as verified by DNS, with its SPIs, its suite and its octets', () => {
  const stage = protectedStage();
  const traffic = new Map([[there, { octetsIn: 1_200n, octetsOut: 3_400n }]]);
  const status = statusOf(viewOf(stage), traffic, health);
  expect(status.summary).toBe('1 peer encrypted and verified by DNS.');
  expect(status.peers).toMatchObject([
    {
      address: there,
      names: [host],
      state: 'encrypted',
      verified: 'dns',
      code: null,
      bytesIn: 1_200,
      bytesOut: 3_400,
      mode: 'transport',
    },
  ]);
  expect(status.peers[0]?.spiIn).toMatch(/^0x[0-9a-f]{8}$/);
});

test('why tells the verdict, each question with its proof, the key that was used and the handshake', () => {
  const stage = protectedStage();
  stage.peers.story(address(there), 'IKE_SA_INIT sent', stage.at);
  const why = whyName(viewOf(stage), name(host));
  expect(why?.verdict).toMatchObject({ state: 'encrypted', code: null });
  expect(why?.questions.map((q) => [q.type, q.status])).toEqual([
    ['A', 'secure'],
    ['IPSECKEY', 'secure'],
  ]);
  expect(why?.keys).toMatchObject([{ key: 'Ed25519', used: true, reason: 'the peer proved it' }]);
  expect(why?.peers[0]?.story.map((s) => s.text)).toEqual(['IKE_SA_INIT sent']);
  expect(why?.steps[0]?.text).toContain('asked for A and IPSECKEY');
});

test('why for an address tells the same of the peer behind it; for one that is not known, nothing', () => {
  const view = viewOf(protectedStage());
  const why = whyAddress(view, address(there));
  expect(why?.verdict).toMatchObject({
    state: 'encrypted',
    sentence: expect.stringContaining(host) as string,
  });
  expect(whyAddress(view, address('198.18.99.1'))).toBeUndefined();
});

test('a name that nobody asked for has no story', () => {
  expect(whyName(viewOf(new Stage()), name(host))).toBeUndefined();
});

test('a bogus key is a complaint in status, and its reason stands in why', () => {
  const stage = new Stage();
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, bogus('the signature is wrong'));
  expect(statusOf(viewOf(stage), new Map(), health).health.complaints.join()).toContain(host);
  expect(whyName(viewOf(stage), name(host))?.verdict).toMatchObject({ state: 'clear', code: 'key-bogus' });
});

test('THREATS A.14: where only IKE is dropped, status says clear because nobody replied', () => {
  const stage = new Stage();
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.pass(1_500);
  stage.failed(there, 'no-reply', 'it did not answer IKE_SA_INIT');
  expect(statusOf(viewOf(stage), new Map(), health).peers).toMatchObject([
    { state: 'clear', code: 'no-reply', verified: null },
  ]);
});

test('a peer that may not be reached in the clear is shown as blocked', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  expect(statusOf(viewOf(stage), new Map(), health).peers).toMatchObject([{ state: 'negotiating' }]);
  stage.failed(there, 'no-reply', 'it did not answer IKE_SA_INIT');
  const status = statusOf(viewOf(stage), new Map(), health);
  expect(status.peers).toMatchObject([{ state: 'blocked', code: 'no-reply' }]);
  expect(status.summary).toContain('BLOCKED');
});

test('an anonymous peer is not shown as verified', () => {
  const stage = new Stage();
  stage.established(childTo(there, { kind: 'anonymous' }));
  expect(statusOf(viewOf(stage), new Map(), health).peers).toMatchObject([
    { state: 'encrypted', verified: 'anonymous' },
  ]);
});

function protectedStage(): Stage {
  const stage = new Stage();
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  return stage;
}

function viewOf(stage: Stage): AgentView {
  return {
    peers: stage.peers,
    gate: stage.gate,
    policy: defaultPolicy,
    locals: [],
    at: stage.at,
    counters: {},
    notes: [],
  };
}
