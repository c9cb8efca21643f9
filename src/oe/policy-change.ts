import { nameText, type NameKey } from '../dns/name.ts';
import type { ChildSa } from '../ike/child.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { later } from '../time.ts';
import { unproved } from './admission.ts';
import { heldSeconds } from './claims.ts';
import { aliasesOf, type Lookup } from './lookup.ts';
import type { Claim, Moment } from './peer.ts';
import type { Peers } from './peers.ts';
import type { Plan } from './plan.ts';
import { begins, decideFor, decideInbound, insists, type Decision, type Policy } from './policy.ts';
import type { Want } from './want.ts';

/** What other rules have to do with hosts that are known; done in this order. */
export interface PolicyChange {
  /** Nothing may pass to them unprotected from now on; `seconds`: for so long a client may use the address. */
  readonly block: readonly { readonly address: IpAddress; readonly seconds: number }[];
  /** No name makes them private any longer. */
  readonly unblock: readonly IpAddress[];
  /** SAs that the rules do not allow. `whole`: with everything that was agreed with the peer. */
  readonly end: readonly { readonly child: ChildSa; readonly why: string; readonly whole: boolean }[];
  /** Peers to begin with anew. */
  readonly begin: readonly { readonly address: IpAddress; readonly wants: readonly Want[] }[];
}

/** What is known when rules change. */
export interface ChangeContext {
  readonly before: Policy;
  readonly after: Policy;
  readonly peers: Peers;
  /** What was told of addresses not long ago: clients may still use it. */
  readonly plans: readonly { readonly lookup: Lookup; readonly plan: Plan }[];
  /** Never protected and never blocked. */
  readonly exempt: (address: IpAddress) => boolean;
}

/**
 * Judges every known host by other rules, and notes for whom it is `private` now. Whoever is judged as before keeps
 * what it has.
 */
export function judgeAnew(context: ChangeContext, at: Moment): PolicyChange {
  const change = { block: [], unblock: [], end: [], begin: [] } as Mutable;
  for (const host of hostsOf(context)) judge(host, context, change, at);
  return change;
}

type Mutable = { -readonly [K in keyof PolicyChange]: PolicyChange[K][number][] };

/** An address, and the names that led to it. */
interface Host {
  readonly address: IpAddress;
  readonly leads: Map<NameKey, Lead>;
}

interface Lead {
  readonly name: NameKey;
  readonly aliases: readonly NameKey[];
  readonly seconds: number;
}

function hostsOf({ peers, plans }: ChangeContext): Iterable<Host> {
  const hosts = new Map<string, Host>();
  const hostAt = (address: IpAddress): Host => {
    const text = formatAddress(address);
    const host = hosts.get(text) ?? { address, leads: new Map<NameKey, Lead>() };
    hosts.set(text, host);
    return host;
  };
  for (const { lookup, plan } of plans) {
    const lead: Lead = {
      name: lookup.onBehalf ?? lookup.question.name,
      aliases: aliasesOf(lookup),
      seconds: heldSeconds(lookup),
    };
    for (const { address } of plan.addresses) hostAt(address).leads.set(lead.name, lead);
  }
  for (const { address, claims } of peers.all()) {
    const { leads } = hostAt(address);
    for (const { name, aliases = [] } of claims) {
      if (!leads.has(name)) leads.set(name, { name, aliases, seconds: 0 });
    }
  }
  return hosts.values();
}

function judge(host: Host, context: ChangeContext, change: Mutable, at: Moment): void {
  const { address } = host;
  const { before, after, peers, exempt } = context;
  if (exempt(address)) return;
  const wasInsisting = peers.find(address)?.insist === true;
  const judged = [...host.leads.values()].map((lead) => ({
    lead,
    was: decideFor(before, [lead.name], address, lead.aliases),
    is: decideFor(after, [lead.name], address, lead.aliases),
  }));
  const insisting = judged.filter((j) => insists(j.is.group));
  if (insisting.length === 0 && wasInsisting && judged.length > 0) {
    change.unblock.push(address);
    peers.release(address);
  }
  for (const { lead, was, is } of judged) {
    const claim = peers.find(address)?.claims.find((c) => c.name === lead.name);
    const insist = insists(is.group);
    if (!claim && !insist) continue;
    const wants = wantsOf(claim, lead.name, was, is);
    const until = claim?.until ?? later(at.now, 1_000 * lead.seconds);
    const { require } = is;
    const { aliases } = lead;
    peers.claim(address, lead.name, { keys: wants, until, insist, require, aliases }, at);
    if (insist) peers.insist(address, lead.name, at);
  }
  if (insisting.length > 0) holdBack(address, insisting, change, peers);
  for (const one of endsOf(host, judged, context, at)) change.end.push(one);
  const peer = peers.find(address);
  const isLeft = peer?.live.some((l) => !change.end.some((e) => e.child.id === l.child.id)) === true;
  if (!peer?.insist || isLeft) return;
  for (const { lead, is } of insisting) {
    const claim = peer.claims.find((c) => c.name === lead.name);
    if (!claim || claim.keys.length === 0 || claim.until <= at.now || !begins(is)) continue;
    change.begin.push({ address, wants: claim.keys });
  }
}

/** A rule by prefix stands in the kernel by itself; for the sake of a name the host is blocked. */
function holdBack(
  address: IpAddress,
  insisting: readonly { readonly lead: Lead; readonly is: Decision }[],
  change: Mutable,
  peers: Peers,
): void {
  const peer = peers.find(address);
  if (!peer) return;
  if (insisting.every((j) => j.is.rule?.match.kind === 'prefix')) {
    if (peer.block !== 'prefix' && peer.block !== 'none') change.unblock.push(address);
    peer.block = 'prefix';
    return;
  }
  change.block.push({ address, seconds: Math.max(...insisting.map((j) => j.lead.seconds)) });
}

function endsOf(
  host: Host,
  judged: readonly { readonly is: Decision }[],
  { after, peers }: ChangeContext,
  at: Moment,
): PolicyChange['end'][number][] {
  const { address } = host;
  const peer = peers.find(address);
  if (!peer) return [];
  const decisions = judged.length > 0 ? judged.map((j) => j.is) : [decideInbound(after, address)];
  const [first] = decisions;
  if (first && decisions.every((d) => d.group === 'clear' || d.group === 'block')) {
    return peer.live.map(({ child }) => ({ child, why: first.why, whole: true }));
  }
  const unfit = peers.unfit(address, at.now);
  return peer.live.flatMap(({ child }) => {
    const why = unfit.includes(child) ? 'the rules want more of the peer' : unproved(after, child);
    return why === undefined ? [] : [{ child, why, whole: false }];
  });
}

/** What the name wants of the peer: as before, unless the rule says otherwise. */
function wantsOf(claim: Claim | undefined, name: NameKey, was: Decision, is: Decision): readonly Want[] {
  if (is.group === 'block') return [];
  const { rule } = is;
  const keys = claim?.keys ?? [];
  const anyone: readonly Want[] = is.require === 'anonymous' ? [{ kind: 'anyone' }] : [];
  if (rule?.auth === was.rule?.auth) return [...keys.filter((k) => k.kind !== 'anyone'), ...anyone];
  if (rule?.auth === undefined) return anyone;
  const named = rule.match.kind === 'prefix' ? {} : { name: nameText(name).replace(/\.$/, '') };
  return [{ kind: 'memberOf', group: rule.auth, ...named }];
}
