import { hostPrefix, parsePrefix, type Prefix } from '../net/prefix.ts';
import { Priority, rankLast } from './bands.ts';
import { overlap, policyKey, within } from './policies.ts';
import type { Policy, PolicyId } from './port.ts';

/**
 * What holds for a prefix whatever is negotiated: `clear` beside IPsec; `open` through an SA where one stands and
 * otherwise without, which needs saying only inside a wider rule that blocks; `private` and `block` nothing
 * without an SA.
 */
export interface StandingRule {
  readonly prefix: Prefix;
  readonly group: 'clear' | 'open' | 'private' | 'block';
  /** Only this of the traffic; the rest is for later rules. Absent: all of it. */
  readonly only?: Portion;
}

/** A protocol, or a service at a port of it: at a host of the prefix (`there`), at this host (`here`), or at either. */
export interface Portion {
  /** IP protocol number. */
  readonly protocol: number;
  readonly port?: number;
  readonly here: boolean;
  readonly there: boolean;
}

/**
 * The policies of a list of rules of which the first that matches decides, in the order in which they are to be
 * added: what must pass comes before what blocks.
 *
 * The kernel knows no order but priorities. A rule within an earlier one never decides and is left out; one that
 * is wider than an earlier one, or within the prefix of an earlier portion, ranks behind it. So ranks count how deep rules are nested, not how many there are,
 * and a rule that is appended changes no other rule's policies. A rule about a portion of the traffic covers no
 * other. What it lets pass does so beside IPsec, unless an earlier rule blocks a part of its prefix: then it stands
 * behind that one, and so below the policies of SAs.
 *
 * Neighbour discovery always passes: without it no packet finds its way, protected or not (RFC 4861; it cannot be
 * protected by what it makes possible). Where something is blocked, so do loopback addresses, the local link,
 * multicast and DHCP: a lease that cannot be renewed takes the address away. The host's other addresses are the
 * caller's to name, as `clear`: IPv6 asks for a policy even for what a host says to itself.
 */
export function standingPolicies(rules: readonly StandingRule[]): Policy[] {
  const placed = ranked(rules);
  const blocks = placed.filter((p) => p.rule.group === 'private' || p.rule.group === 'block');
  const policies = [
    ...neighbourDiscovery,
    ...(blocks.length > 0 ? dhcp : []),
    ...unblockable
      .filter((u) => blocks.some((b) => overlap(b.rule.prefix, u.prefix)))
      .flatMap((u) => alwaysClear(u.prefix, u.manyHosts)),
    ...[...placed].sort((a, b) => a.priority - b.priority).flatMap(policiesOf),
  ];
  // What is always clear may be named by a rule too; the first has the lower number.
  const byKey = new Map<string, Policy>();
  for (const policy of policies) {
    const key = policyKey(policy);
    if (!byKey.has(key)) byKey.set(key, policy);
  }
  return [...byKey.values()];
}

/** The group of the first rule that matches the address; undefined where none does. */
export function standingGroup(
  rules: readonly StandingRule[],
  address: Prefix['address'],
): StandingRule['group'] | undefined {
  return rules.find((r) => r.only === undefined && within(hostPrefix(address), r.prefix))?.group;
}

interface Placed {
  readonly rule: StandingRule;
  readonly priority: number;
}

function ranked(rules: readonly StandingRule[]): Placed[] {
  const placed: Placed[] = [];
  const portions: Placed[] = [];
  const seen = new PrefixSet();
  for (const rule of rules) {
    if (seen.covers(rule.prefix)) continue;
    if (!rule.only) seen.add(rule.prefix);
    // A host's rule that nothing covers overlaps with earlier portions alone; there may be thousands of these.
    const narrower = isHost(rule.prefix) ? [] : placed.filter((p) => within(p.rule.prefix, rule.prefix));
    const wider = portions.filter((p) => within(rule.prefix, p.rule.prefix));
    const behind = [...narrower, ...wider].filter((p) => p.priority >= Priority.block);
    const rank = Math.min(1 + Math.max(-1, ...behind.map((p) => p.priority - Priority.block)), rankLast);
    // What nothing earlier blocks stands above SAs too: `clear` means beside IPsec.
    const above = rule.group === 'clear' && behind.length === 0;
    const placing = { rule, priority: above ? Priority.bypass + 1 : Priority.block + rank };
    placed.push(placing);
    if (rule.only) portions.push(placing);
  }
  return placed;
}

function policiesOf({ rule, priority }: Placed): Policy[] {
  const action = rule.group === 'clear' || rule.group === 'open' ? 'allow' : 'block';
  const any = everything(rule.prefix);
  return portionsOf(rule.only).flatMap(({ protocol, there, here }) => {
    const common = { ...(protocol !== undefined && { protocol }), priority, action } as const;
    const away = { ...common, ...portsOf(here, there) };
    const home = { ...common, ...portsOf(there, here) };
    return [
      { ...away, direction: 'out', source: any, destination: rule.prefix } as const,
      { ...home, direction: 'in', source: rule.prefix, destination: any } as const,
      // What the host forwards from there; what it forwards to there meets the outbound policy as well.
      { ...home, direction: 'fwd', source: rule.prefix, destination: any } as const,
    ];
  });
}

/** Selectors have one port at each end: a service at either end takes two of them. */
function portionsOf(
  only: Portion | undefined,
): readonly { readonly protocol?: number; readonly there?: number; readonly here?: number }[] {
  if (!only) return [{}];
  const { protocol, port } = only;
  if (port === undefined) return [{ protocol }];
  return [
    ...(only.there ? [{ protocol, there: port }] : []),
    ...(only.here ? [{ protocol, here: port }] : []),
  ];
}

function portsOf(
  source: number | undefined,
  destination: number | undefined,
): Pick<PolicyId, 'sourcePort' | 'destinationPort'> {
  return {
    ...(source !== undefined && { sourcePort: source }),
    ...(destination !== undefined && { destinationPort: destination }),
  };
}

/** Membership by the prefixes that hold another: one look-up for each length in use. */
class PrefixSet {
  readonly #prefixes = new Set<string>();
  readonly #lengths = new Map<4 | 6, Set<number>>([
    [4, new Set()],
    [6, new Set()],
  ]);

  add(prefix: Prefix): void {
    this.#prefixes.add(keyOf(prefix.address.octets, prefix.length));
    this.#lengths.get(prefix.address.family)?.add(prefix.length);
  }

  covers(prefix: Prefix): boolean {
    for (const length of this.#lengths.get(prefix.address.family) ?? []) {
      if (length <= prefix.length && this.#prefixes.has(keyOf(prefix.address.octets, length))) return true;
    }
    return false;
  }
}

/** The first `length` bits, and how many they are. */
function keyOf(octets: Uint8Array, length: number): string {
  const whole = octets.subarray(0, length >> 3).join('.');
  const bits = length & 7;
  const last = bits === 0 ? '' : (octets[length >> 3] ?? 0) >> (8 - bits);
  return `${octets.length}/${length} ${whole} ${last}`;
}

function isHost(prefix: Prefix): boolean {
  return prefix.length === prefix.address.octets.length * 8;
}

function everything(like: Prefix): Prefix {
  return {
    address: { family: like.address.family, octets: new Uint8Array(like.address.octets.length) },
    length: 0,
  };
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed) throw new RangeError(text);
  return parsed;
}

const bypass = { priority: Priority.bypass, action: 'allow' } as const;
const anyV4 = prefix('0.0.0.0/0');
const anyV6 = prefix('::/0');
const IPPROTO_UDP = 17;
const IPPROTO_ICMPV6 = 58;

/** Router and neighbour solicitation and advertisement, redirect (RFC 4861 §4). */
const neighbourDiscovery: readonly Policy[] = [133, 134, 135, 136, 137].flatMap((icmpType) =>
  (['out', 'in'] as const).map((direction) => ({
    direction,
    source: anyV6,
    destination: anyV6,
    protocol: IPPROTO_ICMPV6,
    icmpType,
    ...bypass,
  })),
);

/** RFC 2131 §4.1, RFC 8415 §7.2: from the client's port to the server's, and back. */
const dhcp: readonly Policy[] = (
  [
    [anyV4, 68, 67],
    [anyV6, 546, 547],
  ] as const
).flatMap(([any, client, server]) => {
  const common = { source: any, destination: any, protocol: IPPROTO_UDP, ...bypass };
  return [
    { ...common, direction: 'out', sourcePort: client, destinationPort: server } as const,
    { ...common, direction: 'in', sourcePort: server, destinationPort: client } as const,
  ];
});

/** No rule is meant for these, however wide it is. `manyHosts`: no host's own address. */
const unblockable: readonly { readonly prefix: Prefix; readonly manyHosts: boolean }[] = [
  { prefix: prefix('127.0.0.0/8'), manyHosts: false },
  { prefix: prefix('169.254.0.0/16'), manyHosts: false },
  { prefix: prefix('224.0.0.0/4'), manyHosts: true },
  { prefix: prefix('255.255.255.255/32'), manyHosts: true },
  { prefix: prefix('::1/128'), manyHosts: false },
  { prefix: prefix('fe80::/10'), manyHosts: false },
  { prefix: prefix('ff00::/8'), manyHosts: true },
];

function alwaysClear(range: Prefix, manyHosts: boolean): Policy[] {
  const any = everything(range);
  const inbound: PolicyId = manyHosts
    ? { direction: 'in', source: any, destination: range }
    : { direction: 'in', source: range, destination: any };
  return [
    { direction: 'out', source: any, destination: range, ...bypass },
    { ...inbound, ...bypass },
  ];
}
