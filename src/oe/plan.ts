import type { Secure, Verdict } from '../dns/dnssec/verdict.ts';
import { decodeIpseckey, publicKeyOf, type Ipseckey } from '../dns/ipseckey.ts';
import { nameText, type NameKey } from '../dns/name.ts';
import type { RRset } from '../dns/rrset.ts';
import { Ede, Type } from '../dns/types.ts';
import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { samePublicKey, type PublicKey } from '../net/public-key.ts';
import { begins, decideFor, type Decision, type Policy } from './policy.ts';
import type { Want } from './want.ts';

/** More keys than this per name are not looked at: each costs a signature check when a peer lies (THREATS A.12). */
export const keysPerName = 16;

/** A key that may prove a peer. */
export interface PeerKey {
  readonly record: Ipseckey;
  readonly key: PublicKey;
}

/** A key that was published and is not used, with the reason as a clause. */
export interface PassedKey {
  readonly record: Ipseckey | undefined;
  readonly why: string;
}

/** What else must be asked before a gateway can be judged. */
export interface WantedAddress {
  readonly name: NameKey;
  readonly type: typeof Type.A | typeof Type.AAAA;
}

export interface KeyChoice {
  /** In order of precedence; each of them may prove the peer, whichever it has. */
  readonly chosen: readonly PeerKey[];
  readonly passed: readonly PassedKey[];
  /** Not empty: some keys wait for these addresses, then ask again. */
  readonly wanted: readonly WantedAddress[];
}

/** What is known when keys are chosen. */
export interface KeyContext {
  /** The name that was asked and those it is an alias of: the host itself. */
  readonly owners: readonly NameKey[];
  /** The addresses that the answer has for it. */
  readonly addresses: readonly IpAddress[];
  /** Securely resolved addresses of other questions, under {@link wantedKey}. Absent: not asked yet. */
  readonly evidence: ReadonlyMap<string, readonly IpAddress[]>;
}

export function wantedKey(wanted: WantedAddress): string {
  return `${wanted.type}:${wanted.name}`;
}

/**
 * The keys with which the host may prove itself. Only what the validator proved can come in here (RFC 4025 §1.2:
 * the record is worth nothing without DNSSEC). The gateway must be the host itself, since our SAs run from host to
 * host; a key of another gateway says who protects the way to the host, not who the host is.
 */
export function peersOf(rrsets: Secure<readonly RRset[]>, context: KeyContext): KeyChoice {
  const chosen: PeerKey[] = [];
  const passed: PassedKey[] = [];
  const wanted: WantedAddress[] = [];
  const rdatas = rrsets.flatMap((s) => (s.type === Type.IPSECKEY ? s.rdatas : []));
  const records: Ipseckey[] = [];
  for (const rdata of rdatas) {
    const record = decodeIpseckey(rdata);
    if (record.ok) records.push(record.value);
    else
      passed.push({
        record: undefined,
        why: `it is not what RFC 4025 says it must be: ${record.error.message}`,
      });
  }
  // Lower precedence first (RFC 4025 §2.1); ties stay in the order of the answer.
  records.sort((a, b) => a.precedence - b.precedence);
  for (const record of records) {
    const reason = gatewayProblem(record, context);
    if (typeof reason === 'object') {
      wanted.push(...reason);
      continue;
    }
    if (reason !== undefined) {
      passed.push({ record, why: reason });
      continue;
    }
    const key = publicKeyOf(record);
    if ('problem' in key) passed.push({ record, why: key.problem });
    else if (chosen.some((c) => samePublicKey(c.key, key)))
      passed.push({ record, why: 'the same key stands above' });
    else if (chosen.length === keysPerName)
      passed.push({ record, why: `only the first ${keysPerName} keys are used` });
    else chosen.push({ record, key });
  }
  return { chosen, passed, wanted };
}

/** Undefined where the gateway is the host itself; else why not, or what must be asked to know. */
function gatewayProblem(record: Ipseckey, context: KeyContext): string | undefined | WantedAddress[] {
  const { gateway } = record;
  switch (gateway.kind) {
    case 'none':
      return undefined;
    case 'address': {
      const is = (a: IpAddress): boolean => sameAddress(a, gateway.address);
      if (context.addresses.some(is)) return undefined;
      // The host's address of the other family is asked for; it may be named there.
      const type = gateway.address.family === 4 ? Type.A : Type.AAAA;
      const owner = context.owners.at(-1);
      if (owner !== undefined && !context.addresses.some((a) => a.family === gateway.address.family)) {
        const known = context.evidence.get(wantedKey({ name: owner, type }));
        if (known === undefined) return [{ name: owner, type }];
        if (known.some(is)) return undefined;
      }
      return `its gateway ${formatAddress(gateway.address)} is another host, and oe protects only the way to the host itself`;
    }
    case 'name': {
      if (context.owners.includes(gateway.name)) return undefined;
      const type = context.addresses.some((a) => a.family === 4) ? Type.A : Type.AAAA;
      const known = context.evidence.get(wantedKey({ name: gateway.name, type }));
      if (known === undefined) return [{ name: gateway.name, type }];
      if (known.some((a) => context.addresses.some((b) => sameAddress(a, b)))) return undefined;
      return `its gateway ${nameText(gateway.name)} does not securely resolve to the host's own address`;
    }
    default:
      return gateway satisfies never;
  }
}

/** Why something is as it is: a stable word for scripts, a sentence, and what can be done about it. */
export interface Reason {
  readonly code: string;
  readonly why: string;
  readonly remedy?: string;
  /** The Extended DNS Error that says it on the wire (RFC 8914). */
  readonly ede?: number;
}

/** What came of asking for keys. */
export type KeyFinding =
  | { readonly kind: 'usable'; readonly choice: KeyChoice }
  | { readonly kind: 'wanting'; readonly wanted: readonly WantedAddress[] }
  | { readonly kind: 'none'; readonly reason: Reason; readonly choice?: KeyChoice };

/** Judges the answer to the IPSECKEY question. */
export function keysFrom(name: NameKey, verdict: Verdict<readonly RRset[]>, context: KeyContext): KeyFinding {
  const text = nameText(name);
  switch (verdict.status) {
    case 'secure': {
      if (!verdict.data.some((s) => s.type === Type.IPSECKEY)) return { kind: 'none', reason: noKey(text) };
      const choice = peersOf(verdict.data, context);
      if (choice.wanted.length > 0) return { kind: 'wanting', wanted: choice.wanted };
      if (choice.chosen.length > 0) return { kind: 'usable', choice };
      const first = choice.passed[0]?.why ?? 'none is left';
      return {
        kind: 'none',
        choice,
        reason: {
          code: 'key-unusable',
          why: `${text} publishes no key that can be used: ${first}.`,
          remedy: `Whoever runs ${text} should publish what \`oe key show\` prints there.`,
        },
      };
    }
    case 'insecure': {
      const published = verdict.data.some((s) => s.type === Type.IPSECKEY);
      if (!published) return { kind: 'none', reason: unsignedZone(text, verdict.from) };
      return {
        kind: 'none',
        reason: {
          code: 'key-insecure',
          why: `${text} publishes a key, but ${zoneText(verdict.from)} is not signed, so anybody on the way could have put it there.`,
          remedy: `Whoever runs the zone should sign it with DNSSEC.`,
          ede: Ede.DNSSEC_INDETERMINATE,
        },
      };
    }
    case 'bogus':
      return {
        kind: 'none',
        reason: {
          code: 'key-bogus',
          why: `The key of ${text} fails DNSSEC validation (${verdict.why}): it was forged on the way, or its zone is broken.`,
          remedy: `Ask from another network; if it fails there too, tell whoever runs the zone.`,
          ede: verdict.ede,
        },
      };
    case 'indeterminate':
      return {
        kind: 'none',
        reason: {
          code: 'key-indeterminate',
          why: `Whether ${text} publishes a key could not be found out: the resolvers gave no usable answer.`,
          remedy: `Try \`oe doctor\`: it asks the resolvers for DNSSEC.`,
          ede: verdict.ede,
        },
      };
    default:
      return verdict satisfies never;
  }
}

export function noKey(text: string): Reason {
  return {
    code: 'no-key',
    why: `${text} publishes no key (its zone proves that there is no IPSECKEY record).`,
    remedy: `Whoever runs ${text} can publish one: \`oe key show\` there prints it.`,
  };
}

export function unsignedZone(text: string, zone: string): Reason {
  return {
    code: 'zone-unsigned',
    why: `${text} cannot prove a key: ${zoneText(zone)} is not signed with DNSSEC.`,
    remedy: `Whoever runs the zone can sign it and publish a key.`,
    ede: Ede.DNSSEC_INDETERMINATE,
  };
}

/** What is to happen to traffic to one address. */
export type Fate =
  /**
   * `insist`: nothing passes without protection. `proofs`: the peer must prove one of them. `begins`: this host does not
   * wait for the peer to begin.
   */
  | {
      readonly kind: 'protect';
      readonly insist: boolean;
      readonly proofs: readonly Want[];
      readonly begins: boolean;
    }
  | { readonly kind: 'clear'; readonly reason: Reason }
  | { readonly kind: 'refuse'; readonly reason: Reason };

export interface AddressPlan {
  readonly address: IpAddress;
  readonly decision: Decision;
  readonly fate: Fate;
}

export interface Plan {
  readonly addresses: readonly AddressPlan[];
  readonly finding: KeyFinding | undefined;
}

/** What {@link planOf} decides from. */
export interface PlanInput {
  readonly name: NameKey;
  /** Another name, for whose sake the addresses are reached: its rules count as well. */
  readonly onBehalf?: NameKey | undefined;
  /** The names that it is an alias of: their rules count where they insist. */
  readonly aliases?: readonly NameKey[];
  readonly policy: Policy;
  readonly addresses: readonly IpAddress[];
  /** Their time is over, and nobody answers (RFC 8767): where protection is a must, they are not given. */
  readonly isStale?: boolean | undefined;
  /** Undefined: it was not asked, since no rule wants it. */
  readonly finding: KeyFinding | undefined;
  /** Why an address is never protected (our own, a resolver's), or undefined. */
  readonly exempt: (address: IpAddress) => string | undefined;
  /** Why this host cannot protect traffic to it, as a clause, or undefined. */
  readonly unavailable: (address: IpAddress) => string | undefined;
  /** A resolver that is asked in the clear, perhaps because the network says so; absent: none is. */
  readonly isResolver?: ((address: IpAddress) => boolean) | undefined;
}

/** Decides, for each address of an answer, between protection, clear and refusal. Reasons are values. */
export function planOf(input: PlanInput): Plan {
  const addresses = input.addresses.map((address): AddressPlan => {
    const decision = decideFor(input.policy, namesOf(input.name, input.onBehalf), address, input.aliases);
    return { address, decision, fate: fateOf(input, address, decision) };
  });
  return { addresses, finding: input.finding };
}

/** Whether somebody could prove something, so that the way to some address may be protected later. */
export function hasProofs({ addresses, finding }: Plan): boolean {
  return (
    finding?.kind === 'usable' || addresses.some((a) => a.fate.kind === 'protect' && a.fate.proofs.length > 0)
  );
}

/** The names whose rules count for an address of `name`. */
export function namesOf(name: NameKey, onBehalf: NameKey | undefined): readonly [NameKey, ...NameKey[]] {
  return onBehalf === undefined ? [name] : [name, onBehalf];
}

function fateOf(input: PlanInput, address: IpAddress, decision: Decision): Fate {
  const exempt = input.exempt(address);
  // Whoever gives this host its address could open the way to any host by calling it a resolver.
  const isPrivate = decision.group === 'private' && decision.rule?.match.kind !== 'prefix';
  if (exempt !== undefined && isPrivate && input.isResolver?.(address) === true) {
    return {
      kind: 'refuse',
      reason: {
        code: 'resolver-clear',
        why: `${formatAddress(address)} is ${exempt}, in the clear. And ${decision.why}.`,
        remedy: 'Name resolvers of your own under upstreams in [dns].',
        ede: Ede.BLOCKED,
      },
    };
  }
  if (exempt !== undefined) {
    return {
      kind: 'clear',
      reason: { code: 'exempt', why: `${formatAddress(address)} is ${exempt}, which is never encrypted.` },
    };
  }
  if (decision.group === 'block') {
    return {
      kind: 'refuse',
      reason: {
        code: 'rule-block',
        why: `Nothing may pass: ${decision.why}.`,
        remedy: `Change the rule in the configuration if that is not what you want.`,
        ede: Ede.BLOCKED,
      },
    };
  }
  const isOurs = begins(decision);
  if (!isOurs && decision.group !== 'private') {
    return { kind: 'clear', reason: { code: 'rule-clear', why: `We do not begin: ${decision.why}.` } };
  }
  const insist = decision.group === 'private';
  if (insist && input.isStale === true) {
    return {
      kind: 'refuse',
      reason: {
        code: 'address-stale',
        why: `Nobody answers for ${nameText(input.name)}, and what was known is out of date. And ${decision.why}.`,
        remedy: 'Try `oe doctor`: it asks the resolvers.',
        ede: Ede.NO_REACHABLE_AUTHORITY,
      },
    };
  }
  const unavailable = input.unavailable(address);
  if (unavailable !== undefined) {
    const reason: Reason = {
      code: 'esp-unavailable',
      why: `Nothing can be encrypted here: ${unavailable}.`,
      remedy: 'Try `oe doctor`: it says what is missing and how to get it.',
    };
    return insist ? { kind: 'refuse', reason: { ...reason, ede: Ede.BLOCKED } } : { kind: 'clear', reason };
  }
  const { rule } = decision;
  const protect = (proofs: readonly Want[]): Fate => ({ kind: 'protect', insist, proofs, begins: isOurs });
  if (rule?.auth !== undefined) {
    // Whoever is reached by a name must have a certificate of that name; a rule by prefix knows of no name.
    const name = rule.match.kind === 'prefix' ? {} : { name: nameText(input.name).replace(/\.$/, '') };
    return protect([{ kind: 'memberOf', group: rule.auth, ...name }]);
  }
  const keys = input.finding?.kind === 'usable' ? input.finding.choice.chosen.map((c) => c.key) : [];
  if (decision.require === 'anonymous') return protect([...keys, { kind: 'anyone' }]);
  if (input.finding?.kind === 'usable') return protect(keys);
  const reason: Reason =
    input.finding?.kind === 'none'
      ? input.finding.reason
      : { code: 'key-indeterminate', why: `Whether ${nameText(input.name)} publishes a key is not known.` };
  if (insist) {
    return {
      kind: 'refuse',
      reason: { ede: Ede.OTHER, ...reason, why: `${reason.why} And ${decision.why}.` },
    };
  }
  // A key that fails validation is a sign of an attack, and still the answer goes out under the opportunistic
  // groups, with a warning in the log, in `oe status` and in `oe why`. The address itself was validated on its own,
  // so nobody is misled; SERVFAIL would let whoever can spoil one IPSECKEY answer take the name off the net, while
  // the same attacker gets no more by spoiling it than by dropping our IKE packets, which also ends in the clear.
  // Who cannot accept that says `private`.
  return { kind: 'clear', reason };
}

function zoneText(zone: string): string {
  return zone === '' || zone === '.' ? 'the root zone' : `the zone ${zone}`;
}
