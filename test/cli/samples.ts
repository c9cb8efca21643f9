import type { PeerStatus, Status } from '../../src/oe/status.ts';
import type { Dig } from '../../src/oe/dig.ts';
import type { Why } from '../../src/oe/why.ts';

export const sampleStatus: Status = {
  version: 1,
  summary: '1 peer encrypted and verified by DNS; 1 BLOCKED.',
  peers: [
    peer({ address: '198.18.2.10', names: ['oe.libreswan.org'], state: 'encrypted', verified: 'dns' }),
    peer({ address: '198.18.2.20', state: 'blocked', code: 'no-reply', reason: 'no reply within 4.0 s' }),
  ],
  health: {
    upSeconds: 75,
    listening: ['127.0.0.1:53'],
    upstreams: ['198.18.9.9:53'],
    localAddresses: ['198.18.1.2'],
    hostKey: null,
    esp: { ipv4: true, ipv6: true },
    policyDefault: 'private-or-clear',
    counters: { queries: 3, answers: 3, answersFromCache: 2 },
    complaints: [],
    notes: [],
  },
};

export function peer(part: Partial<PeerStatus>): PeerStatus {
  return {
    address: '198.18.2.10',
    names: [],
    state: 'encrypted',
    verified: null,
    code: null,
    reason: 'encrypted',
    mode: 'transport',
    suite: 'AES-GCM-16-256',
    keyExchanges: ['CURVE25519', 'ML-KEM-768'],
    postQuantum: true,
    spiIn: '0x00001001',
    spiOut: '0x00002001',
    since: '2026-01-31T12:00:00.000Z',
    bytesIn: 1_200,
    bytesOut: 3_500_000,
    ...part,
  };
}

export const sampleWhy: Why = {
  version: 1,
  name: 'oe.libreswan.org',
  at: '2026-01-31T12:00:00.000Z',
  verdict: {
    state: 'encrypted',
    code: null,
    sentence: 'Traffic to oe.libreswan.org (198.18.2.10) is encrypted.',
    remedy: null,
  },
  rule: 'no rule matches, the default is private-or-clear',
  questions: [
    {
      name: 'oe.libreswan.org',
      type: 'A',
      rcode: 'NOERROR',
      status: 'secure',
      why: null,
      answers: ['oe.libreswan.org A 198.18.2.10'],
      fromCache: false,
      tookMs: 12,
      chain: ['org: DNSKEY signed by DS (secure)'],
    },
  ],
  keys: [
    { precedence: 10, gateway: '.', key: 'RSA 3072', used: true, reason: 'the peer proved it' },
    {
      precedence: 20,
      gateway: '198.18.2.99',
      key: 'RSA',
      used: false,
      reason: 'its gateway is another host',
    },
  ],
  peers: [
    {
      address: '198.18.2.10',
      state: 'encrypted',
      reason: 'encrypted; the peer proved its key (RSA 3072).',
      spiIn: '0x00001001',
      spiOut: '0x00002001',
      suite: 'AES-GCM-16-256',
      keyExchanges: ['CURVE25519', 'ML-KEM-768'],
      postQuantum: true,
      mode: 'transport',
      story: [{ afterMs: 4, text: 'IKE_SA_INIT sent' }],
    },
  ],
  steps: [{ afterMs: 0, text: 'asked for A and IPSECKEY of oe.libreswan.org' }],
};

export const sampleDig: Dig = {
  version: 1,
  name: 'www.example.org',
  type: 'A',
  rcode: 'NOERROR',
  flags: ['qr', 'rd', 'ra', 'ad'],
  status: 'secure',
  sentence: 'Signatures prove every record, from the root down.',
  ede: null,
  answer: ['www.example.org 300 A 192.0.2.1'],
  authority: [],
  chain: [
    {
      zone: '.',
      status: 'secure',
      sentence: '.: DNSKEY 20326 is a trust anchor (secure)',
      keys: [{ tag: 20_326, algorithm: 'RSASHA256' }],
      signedUntil: '2026-02-12T00:00:00.000Z',
      proves: [],
      below: [
        {
          zone: 'org',
          status: 'secure',
          sentence: 'org: DNSKEY 17 signed by DS 17 (secure)',
          keys: [{ tag: 17, algorithm: 'ECDSAP256SHA256' }],
          signedUntil: null,
          proves: ['www.example.org A: signed by org 17 (ECDSAP256SHA256) (secure)'],
          below: [],
        },
      ],
    },
  ],
  fromCache: false,
  tookMs: 12.3,
  asked: [{ question: 'A www.example.org', from: '192.0.2.53', trace: ['192.0.2.53: NOERROR'] }],
};
