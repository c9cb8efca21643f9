import { formatAddress } from '../net/address.ts';
import { later } from '../time.ts';
import { keyTtl } from './addresses.ts';
import type { GateDoors, GateOptions } from './gate-doors.ts';
import { aliasesOf, step, type Lookup } from './lookup.ts';
import type { Moment } from './peer.ts';
import type { Peers } from './peers.ts';
import type { Plan } from './plan.ts';

/** What {@link noteClaims} works on. */
export interface ClaimContext {
  readonly doors: Pick<GateDoors, 'block' | 'replace'>;
  readonly peers: Peers;
  readonly exempt: GateOptions['exempt'];
}

/** Notes what the name of the lookup says of each address of its plan, and has the kernel block those that are `private`. */
export function noteClaims(lookup: Lookup, plan: Plan, context: ClaimContext, at: Moment): void {
  const { doors, peers, exempt } = context;
  const { question, onBehalf } = lookup;
  const name = onBehalf ?? question.name;
  const isProved = lookup.keyResolution?.verdict.status === 'secure';
  const seconds = heldSeconds(lookup);
  for (const { address, decision, fate } of plan.addresses) {
    // Without its resolvers this host could not ask for anything: they are not blocked.
    const insist = decision.group === 'private' && fate.kind !== 'clear' && exempt(address) === undefined;
    if (fate.kind === 'protect') {
      // What a rule wants holds as long as the rule does.
      const isByRule = decision.rule?.auth !== undefined || decision.require === 'anonymous';
      const ttl = isByRule ? ruleSeconds : Math.max(leastKeySeconds, keyTtl(lookup.keyResolution));
      const aliases = aliasesOf(lookup);
      const { require } = decision;
      const until = later(at.now, 1_000 * ttl);
      peers.claim(address, name, { keys: fate.proofs, until, insist, require, aliases }, at);
    } else if (isProved) {
      peers.withdraw(address, question.name);
    }
    if (insist) {
      // The block goes in before anything else is tried, and whatever becomes of it.
      const peer = peers.insist(address, name, at);
      if (decision.rule?.match.kind === 'prefix') {
        if (peer.block === 'none') peer.block = 'prefix';
      } else if (peer.block === 'asked' || peer.block === 'stands') {
        doors.block(address, seconds);
      } else {
        peer.block = 'asked';
        doors.block(address, seconds);
        step(lookup, at, `nothing may pass to ${peer.text} in the clear: a block goes into the kernel`);
      }
    }
    if (fate.kind === 'protect' && peers.unfit(address, at.now).length > 0) doors.replace(address);
  }
}

/** What was begun early and is not wanted now is given up. */
export function giveUpEarly(lookup: Lookup, plan: Plan, peers: Peers, at: Moment): void {
  const wanted = (text: string): boolean =>
    plan.addresses.some((a) => a.fate.kind === 'protect' && formatAddress(a.address) === text);
  for (const [text, address] of lookup.early)
    if (!wanted(text)) peers.giveUp(address, at, 'no key was proved');
}

/** Seconds for which a client may use what it is told. */
export function heldSeconds({ resolution }: Lookup): number {
  return Math.max(0, ...(resolution?.answer ?? []).map((s) => s.ttl));
}

/** How long what a rule wants of an address is believed to be wanted: longer than any lookup is remembered. */
const ruleSeconds = 30 * 86_400;
/** A key with a shorter TTL, 0 perhaps, still serves the negotiation for which it was asked (THREATS A.13). */
export const leastKeySeconds = 30;
