import { Type } from '../../src/dns/types.ts';
import { addressOf, sameAddress, type IpAddress } from '../../src/net/address.ts';
import type { Peer } from '../../src/oe/peer.ts';
import { sameOctets } from '../../src/wire/octets.ts';
import { bogusName } from './internet.ts';
import type { Answered, Host, World } from './world.ts';

/** A step after which something is not as it must be; the seed is told by whoever catches it. */
export class Violation extends Error {}

/** The invariants of the design that a single step can break. */
export function checkStep(world: World, host: Host): void {
  if (world.steps > 50_000) throw new Violation('the agents do not come to rest');
  const { peers, counters } = host.agent.view;
  for (const peer of peers.all()) {
    anonymousDisplacesNobody(host, peer);
    privateNeverInTheClear(host, peer);
    pairsMatch(world, host, peer);
  }
  const { lookupsOpen = 0, negotiationsOpen = 0 } = counters;
  if (lookupsOpen > 64 || negotiationsOpen > 64)
    throw new Violation(`7: ${lookupsOpen} lookups, ${negotiationsOpen} negotiations are open`);
}

/** What a program was told, judged at the moment when it was told. */
export function checkAnswer(host: Host, answered: Answered): void {
  const { name, message, askedAt, answeredAt } = answered;
  const addresses = message.answer.flatMap((r) => (r.type === Type.A ? (addressOf(r.rdata) ?? []) : []));
  if (name === bogusName && addresses.length > 0)
    throw new Violation('3: an address of a bogus name was given out');
  const budget = host.options.policy?.outbound === 'private' ? 4_000 : host.budgetMs;
  const longest = budget + dnsPatienceMs;
  if (answeredAt - askedAt > longest)
    throw new Violation(`1: ${name} was held for ${answeredAt - askedAt} ms`);
  const record = host.agent.recordsOf(nameKeyOf(message)).find((r) => r.verdict !== undefined);
  if (record?.verdict?.state !== 'encrypted') return;
  const fate = host.kernel.outbound(host.spec.address, record.verdict.address);
  if (typeof fate === 'string')
    throw new Violation(`1: ${name} was called encrypted, and its packets are ${fate}`);
  const [first] = addresses;
  if (!first || !sameAddress(first, record.verdict.address))
    throw new Violation(`1: the protected address of ${name} does not lead`);
}

/**
 * What must hold when nothing has happened for a while. `accident`: a host was restarted, and its goodbye may have
 * been lost; that a peer without liveness checks sends into the void for a while is known.
 */
export function checkIdle(world: World, accident: boolean): void {
  for (const host of world.hosts.values()) {
    if (host.openQuestions > 0)
      throw new Violation(`1: ${host.spec.name} owes ${host.openQuestions} answers`);
    const { states, policies } = host.kernel.snapshotSync();
    if (states.some((s) => s.larval)) throw new Violation(`4: ${host.spec.name} keeps a reserved SPI`);
    const mine = (a: IpAddress): boolean => sameAddress(a, host.spec.address);
    const inbound = states.filter((s) => mine(s.destination));
    const outbound = states.filter((s) => !mine(s.destination));
    if (inbound.length !== outbound.length) {
      throw new Violation(
        `4: ${host.spec.name} has ${inbound.length} inbound and ${outbound.length} outbound states`,
      );
    }
    const reqids = new Set(states.map((s) => s.reqid));
    for (const policy of policies) {
      if (policy.template && !reqids.has(policy.template.reqid))
        throw new Violation(`4: ${host.spec.name} has a policy without its SA`);
    }
    const { peers } = host.agent.view;
    for (const peer of peers.all())
      if (peer.attempt) throw new Violation(`${host.spec.name} still negotiates with ${peer.text}`);
    if (!accident) bothEndsAgree(world, host);
  }
}

/** What must hold after a normal stop: nothing of ours is in any kernel. */
export function checkStopped(world: World): void {
  for (const host of world.hosts.values()) {
    if (!host.stopped) throw new Violation(`${host.spec.name} did not stop`);
    const { states, policies } = host.kernel.snapshotSync();
    const left = states.filter((s) => !s.larval).length + policies.length;
    if (left > 0) throw new Violation(`${host.spec.name} leaves ${left} states and policies behind`);
  }
}

/** Each of our pairs that stands has its counterpart, and a packet comes through. */
function bothEndsAgree(world: World, host: Host): void {
  for (const peer of host.agent.view.peers.all()) {
    const [live] = peer.live;
    const other = live && world.at(peer.address);
    if (!live || !other) continue;
    // Eight probes in a row can be lost: then one end holds the other for dead, until the next lookup.
    const theirs = other.agent.view.peers.find(host.spec.address);
    if (theirs?.story.some((s) => s.text.includes('does not answer any longer')) === true) continue;
    const fate = host.kernel.outbound(host.spec.address, peer.address);
    if (typeof fate === 'string')
      throw new Violation(`2: ${host.spec.name} calls ${peer.text} encrypted, its packets are ${fate}`);
    const arrives = other.kernel.inbound({
      source: host.spec.address,
      destination: peer.address,
      esp: { spi: fate.esp },
    });
    if (arrives !== 'accept')
      throw new Violation(`2: what ${host.spec.name} encrypts to ${peer.text} does not arrive`);
  }
}

function anonymousDisplacesNobody(host: Host, peer: Peer): void {
  const [first] = peer.live;
  if (first?.peerAuth.kind === 'anonymous' && peer.live.some((l) => l.peerAuth.kind === 'key')) {
    throw new Violation(`8: at ${host.spec.name} an anonymous SA stands before a proved one`);
  }
}

function privateNeverInTheClear(host: Host, peer: Peer): void {
  if (!peer.insist || peer.block !== 'stands' || host.stopped) return;
  const fate = host.kernel.outbound(host.spec.address, peer.address);
  if (fate === 'clear')
    throw new Violation(`5: a clear packet leaves from ${host.spec.name} to ${peer.text}`);
}

/** Two live children that name each other's SPI have the same keys, crosswise. */
function pairsMatch(world: World, host: Host, peer: Peer): void {
  const other = world.at(peer.address)?.agent.view.peers.find(host.spec.address);
  if (!other) return;
  for (const { child: ours } of peer.live) {
    const theirs = other.live.find((l) => l.child.inbound.spi === ours.outbound.spi)?.child;
    if (!theirs) continue;
    const agree =
      theirs.outbound.spi === ours.inbound.spi &&
      sameOctets(theirs.inbound.encryptionKey, ours.outbound.encryptionKey) &&
      sameOctets(theirs.outbound.encryptionKey, ours.inbound.encryptionKey) &&
      theirs.mode === ours.mode &&
      theirs.esn === ours.esn;
    if (!agree) throw new Violation(`2: ${host.spec.name} and ${peer.text} do not agree about their SA`);
  }
}

function nameKeyOf(message: Answered['message']): Parameters<Host['agent']['recordsOf']>[0] {
  const [question] = message.questions;
  if (!question) throw new Violation('an answer without its question');
  return question.name;
}

/** What the resolver may take before the gate's budget begins, with what is lost on the way. */
const dnsPatienceMs = 10_000;
