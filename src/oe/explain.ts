import type { Ipseckey } from '../dns/ipseckey.ts';
import { nameText, type NameKey } from '../dns/name.ts';
import { rdataText } from '../dns/rdata-text.ts';
import type { Resolution } from '../dns/resolver.ts';
import type { RRset } from '../dns/rrset.ts';
import { rcodeName, Type, typeName } from '../dns/types.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { describePublicKey } from '../net/public-key.ts';
import type { Instant } from '../time.ts';
import type { AgentView } from './agent-types.ts';
import type { LookupRecord, LookupVerdict } from './lookup.ts';
import { describePeerAuth, proves } from '../ike/proof.ts';
import type { Moment, Peer } from './peer.ts';
import type { Reason } from './plan.ts';
import { decide } from './policy.ts';
import {
  summarise,
  worstFirst,
  type EdgeHealth,
  type PeerState,
  type PeerStatus,
  type Status,
} from './status.ts';
import { counted, listed, spiText } from './text.ts';
import { proofsIn } from './want.ts';
import type { Why, WhyKey, WhyPeer, WhyQuestion, WhyStep, WhyVerdict } from './why.ts';

/** Octets that passed through an SA. */
export interface Traffic {
  readonly octetsIn: bigint;
  readonly octetsOut: bigint;
}

/** What `oe status` says. `traffic` is asked under the address's text. */
export function statusOf(view: AgentView, traffic: ReadonlyMap<string, Traffic>, health: EdgeHealth): Status {
  const { now } = view.at;
  const peers = [...view.peers.all()]
    .filter((p) => isNotable(p, now))
    .map((p) => peerStatus(p, now, traffic.get(p.text)));
  const clear = view.gate.clearNames;
  return {
    version: 1,
    summary: summarise(peers, clear),
    peers: worstFirst(peers),
    health: {
      ...health,
      localAddresses: view.locals.map(formatAddress),
      policyDefault: view.policy.outbound,
      counters: { ...view.counters, ...health.counters },
      complaints: [...health.complaints, ...complaints(view)],
      notes: [...health.notes, ...view.notes],
    },
  };
}

/** What `oe why NAME` says, from the lookups of the name; undefined where there are none. */
export function whyName(view: AgentView, name: NameKey): Why | undefined {
  const records = view.gate.recordsOf(name).toSorted((a, b) => rank(a.verdict) - rank(b.verdict));
  const [first] = records;
  if (!first) return undefined;
  const begin = earliestOf(records);
  const addresses = uniqueAddresses(records);
  const planned = records.flatMap((r) => r.plan?.addresses ?? [])[0];
  return {
    version: 1,
    name: nameText(name),
    at: iso(begin.wall),
    verdict: verdictOf(nameText(name), first, view),
    rule: (planned?.decision ?? decide(view.policy, name, undefined)).why,
    questions: records.flatMap((r, i) => [
      ...(r.resolution ? [questionOf(r.question.name, r.question.type, r.resolution)] : []),
      ...(r.keyResolution && i === 0 ? [questionOf(name, Type.IPSECKEY, r.keyResolution)] : []),
    ]),
    keys: keysOf(records, view),
    peers: addresses.flatMap((a) => {
      const peer = view.peers.find(a);
      return peer ? [whyPeer(peer, view.at.now, begin.now)] : [];
    }),
    steps: stepsOf(records, begin.now),
  };
}

/** What `oe why ADDRESS` says; undefined where nothing is known of the address. */
export function whyAddress(view: AgentView, address: IpAddress): Why | undefined {
  const peer = view.peers.find(address);
  if (!peer) return undefined;
  const { now, wall } = view.at;
  const records = peer.claims.flatMap((c) => view.gate.recordsOf(c.name));
  const begin =
    records.length > 0 ? earliestOf(records) : { now: peer.story[0]?.at ?? now, wall: peer.since };
  const state = peerState(peer, now);
  const name = peer.claims[0]?.name;
  return {
    version: 1,
    name: peer.text,
    at: iso(records.length > 0 ? begin.wall : wall - (now - begin.now) / 1_000),
    verdict: {
      state,
      code: state === 'encrypted' ? null : (peer.failure?.code ?? null),
      sentence: `${peer.text}${peer.claims.length > 0 ? ` (${listed(peer.claims.map((c) => nameText(c.name)))})` : ''}: ${state === 'blocked' ? 'BLOCKED' : state}; ${peerReason(peer, now)}`,
      remedy: null,
    },
    rule: decide(view.policy, name, address).why,
    questions: [],
    keys: keysOf(records, view),
    peers: [whyPeer(peer, now, begin.now)],
    steps: [],
  };
}

/** Whether status lists the peer: something of it stands, is under way, is blocked or has failed. */
function isNotable(peer: Peer, now: Instant): boolean {
  return (
    peer.live.length > 0 ||
    peer.attempt?.keys !== undefined ||
    peer.insist ||
    peer.failure !== undefined ||
    peer.claims.some((c) => c.keys.length > 0 && c.until > now)
  );
}

function peerState(peer: Peer, now: Instant): PeerState {
  if (peer.live.length > 0) return 'encrypted';
  const isWaiting = peer.attempt !== undefined && (peer.failure === undefined || peer.failure.until <= now);
  if (isWaiting) return 'negotiating';
  return peer.insist ? 'blocked' : 'clear';
}

function peerReason(peer: Peer, now: Instant): string {
  const [live] = peer.live;
  if (live) {
    if (live.peerAuth.kind === 'anonymous') return 'the peer is anonymous, so nobody vouches for it.';
    const by = live.peerAuth;
    if (by.kind === 'member') return `the peer proved that it is a member of ${by.group}.`;
    const names = peer.claims.filter((c) => proves(by, proofsIn(c.keys))).map((c) => nameText(c.name));
    const whose =
      names.length > 0 ? `, which signed DNS publishes for ${listed(names)}` : ', found in signed DNS';
    return `the peer proved its key (${describePublicKey(by.key)})${whose}.`;
  }
  switch (peerState(peer, now)) {
    case 'negotiating':
      return peer.insist
        ? 'the negotiation is under way; until then nothing may pass.'
        : 'the negotiation is under way.';
    case 'blocked':
      return `${peer.failure?.why ?? 'no SA stands'}, and a rule lets nothing pass without protection.`;
    default:
      return peer.failure
        ? `${peer.failure.why}.`
        : 'no SA stands at the moment; the next lookup begins a negotiation.';
  }
}

function peerStatus(peer: Peer, now: Instant, traffic: Traffic | undefined): PeerStatus {
  const [live] = peer.live;
  return {
    address: peer.text,
    names: peer.claims.map((c) => nameText(c.name)),
    state: peerState(peer, now),
    verified: live ? verifiedBy[live.peerAuth.kind] : null,
    code: live ? null : (peer.failure?.code ?? (peer.attempt ? 'negotiating' : 'no-sa')),
    reason: peerReason(peer, now),
    mode: live?.child.mode ?? null,
    suite: live?.suite ?? null,
    keyExchanges: live?.child.keyExchange?.methods ?? null,
    postQuantum: live?.child.keyExchange?.postQuantum ?? null,
    spiIn: live ? spiText(live.child.inbound.spi) : null,
    spiOut: live ? spiText(live.child.outbound.spi) : null,
    since: iso(live?.since ?? peer.since),
    bytesIn: Number(traffic?.octetsIn ?? 0n),
    bytesOut: Number(traffic?.octetsOut ?? 0n),
  };
}

/** What vouches for the peer. */
const verifiedBy = { key: 'dns', member: 'group', anonymous: 'anonymous' } as const;

function complaints(view: AgentView): string[] {
  const found: string[] = [];
  const refused = view.counters['kernelRefused'] ?? 0;
  if (refused > 0) found.push(`The kernel has refused ${counted(refused, 'operation')}; the log says which.`);
  const bogus = view.gate.namesWith('key-bogus');
  if (bogus.length > 0) {
    found.push(
      `The key of ${listed(bogus.slice(0, 3).map(nameText))} fails DNSSEC validation: an attack, or a broken zone. See \`oe why\`.`,
    );
  }
  return found;
}

function whyPeer(peer: Peer, now: Instant, begin: Instant): WhyPeer {
  const [live] = peer.live;
  return {
    address: peer.text,
    state: peerState(peer, now),
    reason: peerReason(peer, now),
    spiIn: live ? spiText(live.child.inbound.spi) : null,
    spiOut: live ? spiText(live.child.outbound.spi) : null,
    suite: live?.suite ?? null,
    keyExchanges: live?.child.keyExchange?.methods ?? null,
    postQuantum: live?.child.keyExchange?.postQuantum ?? null,
    mode: live?.child.mode ?? null,
    story: peer.story.map((s) => ({ afterMs: since(begin, s.at), text: s.text })),
  };
}

function verdictOf(name: string, record: LookupRecord, view: AgentView): WhyVerdict {
  const { verdict } = record;
  if (!verdict) {
    return {
      state: 'negotiating',
      code: null,
      sentence: `The lookup of ${name} is under way.`,
      remedy: null,
    };
  }
  switch (verdict.state) {
    case 'encrypted': {
      const text = formatAddress(verdict.address);
      const live = view.peers.find(verdict.address)?.live[0];
      if (!live) {
        const sentence = `${name} was reached through an SA with ${text}, which is gone since.`;
        return { state: 'clear', code: 'sa-gone', sentence, remedy: 'The next lookup negotiates again.' };
      }
      const what =
        live.peerAuth.kind === 'member'
          ? `the peer proved that it is a member of ${live.peerAuth.group}`
          : `the peer proved its key (${describePeerAuth(live.peerAuth)}), which ${name} publishes in signed DNS`;
      const sentence = `Traffic to ${name} (${text}) is encrypted, and ${what}.`;
      return { state: 'encrypted', code: null, sentence, remedy: null };
    }
    case 'empty':
      return { state: 'failed', code: 'no-address', sentence: `${name} has no address.`, remedy: null };
    case 'clear':
    case 'blocked':
    case 'failed':
      return fromReason(verdict.state, verdict.reason);
    default:
      return verdict satisfies never;
  }
}

function fromReason(state: WhyVerdict['state'], reason: Reason): WhyVerdict {
  return { state, code: reason.code, sentence: reason.why, remedy: reason.remedy ?? null };
}

/** The record that says most comes first. */
function rank(verdict: LookupVerdict | undefined): number {
  if (!verdict) return 1;
  return { encrypted: 0, blocked: 2, clear: 3, failed: 4, empty: 5 }[verdict.state];
}

function questionOf(name: NameKey, type: number, resolution: Resolution): WhyQuestion {
  const { verdict } = resolution;
  const why =
    verdict.status === 'secure'
      ? null
      : verdict.status === 'insecure'
        ? `the chain of trust ends at ${verdict.from}, with a proof`
        : verdict.why;
  return {
    name: nameText(name),
    type: typeName(type),
    rcode: rcodeName(resolution.rcode),
    status: verdict.status,
    why,
    answers: resolution.answer.flatMap(recordTexts),
    fromCache: resolution.fromCache,
    tookMs: resolution.tookMs,
    chain: resolution.chain,
  };
}

function keysOf(records: readonly LookupRecord[], view: AgentView): WhyKey[] {
  const finding = records
    .map((r) => r.plan?.finding)
    .find((f) => f?.kind === 'usable' || (f?.kind === 'none' && f.choice !== undefined));
  const choice = finding?.kind === 'usable' || finding?.kind === 'none' ? finding.choice : undefined;
  if (!choice) return [];
  const live = uniqueAddresses(records).flatMap((a) => view.peers.find(a)?.live.slice(0, 1) ?? []);
  return [
    ...choice.chosen.map(({ record, key }) => ({
      precedence: record.precedence,
      gateway: gatewayText(record),
      key: describePublicKey(key),
      used: true,
      reason: live.some((l) => proves(l.peerAuth, [key])) ? 'the peer proved it' : 'the peer may prove it',
    })),
    ...choice.passed.map(({ record, why }) => ({
      precedence: record?.precedence ?? 0,
      gateway: record ? gatewayText(record) : '?',
      key: record ? (keyAlgorithms[record.algorithm] ?? `algorithm ${record.algorithm}`) : '?',
      used: false,
      reason: why,
    })),
  ];
}

/** IANA "ipseckey-rr-parameters", Algorithm Type Field. */
const keyAlgorithms: Readonly<Record<number, string>> = {
  0: 'no key',
  1: 'DSA',
  2: 'RSA',
  3: 'ECDSA',
  4: 'EdDSA',
};

function gatewayText(record: Ipseckey): string {
  const { gateway } = record;
  if (gateway.kind === 'none') return '.';
  return gateway.kind === 'address' ? formatAddress(gateway.address) : nameText(gateway.name);
}

function recordTexts(set: RRset): string[] {
  return set.rdatas.map(
    (rdata) => `${nameText(set.owner)} ${typeName(set.type)} ${rdataText(set.type, rdata)}`,
  );
}

function stepsOf(records: readonly LookupRecord[], begin: Instant): WhyStep[] {
  const steps = records
    .flatMap((r) => r.steps.map((s) => ({ afterMs: since(begin, s.at), text: s.text })))
    .toSorted((a, b) => a.afterMs - b.afterMs);
  return steps.filter((s, i) => !steps.slice(0, i).some((o) => o.text === s.text));
}

function uniqueAddresses(records: readonly LookupRecord[]): IpAddress[] {
  const found = new Map<string, IpAddress>();
  for (const a of records.flatMap((r) => r.plan?.addresses ?? []))
    found.set(formatAddress(a.address), a.address);
  return [...found.values()];
}

function earliestOf(records: readonly LookupRecord[]): Moment {
  const [first, ...rest] = records.map((r) => r.at);
  if (!first) throw new RangeError('no lookup');
  return rest.reduce((a, b) => (b.now < a.now ? b : a), first);
}

function since(begin: Instant, at: Instant): number {
  return Math.round((at - begin) * 10) / 10;
}

function iso(wallSeconds: number): string {
  return new Date(Math.round(wallSeconds * 1_000)).toISOString();
}
