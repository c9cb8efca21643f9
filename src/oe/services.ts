import { labelsOf, nameOfLabels, nameText, readPlainName, rootName, type NameKey } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import type { RRset } from '../dns/rrset.ts';
import { decodeSvcb, encodeSvcb, SvcParam, type Svcb } from '../dns/svcb.ts';
import { Ede, Rcode, Type } from '../dns/types.ts';
import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { decoded } from '../wire/reader.ts';
import { addressesIn } from './addresses.ts';
import type { Lookup, Target } from './lookup.ts';
import { hasProofs, namesOf, type Reason } from './plan.ts';
import type { Group } from './policy.ts';

/** Hosts of one service that are looked at: those of the first priorities. */
export const targetsPerService = 4;

/** Whether answers of this type lead to hosts of other names, and may hold their addresses (RFC 9460). */
export function isService(type: number): boolean {
  return type === Type.HTTPS || type === Type.SVCB;
}

/** The host whose service `name` is: `example.org` of `_8443._https.example.org` (RFC 9460 §2.3). Rules are for hosts. */
export function hostOf(name: NameKey): NameKey {
  const labels = labelsOf(name);
  const first = labels.findIndex((label) => !label.startsWith('_'));
  return first <= 0 ? name : (nameOfLabels(labels.slice(first)) ?? name);
}

/** The hosts that the answer names, the first {@link targetsPerService} in the order in which clients try them. */
export function targetsIn(resolution: Resolution): NameKey[] {
  const found = resolution.answer.flatMap((set) =>
    set.rdatas.flatMap((rdata): { readonly name: NameKey; readonly place: number }[] => {
      if (isService(set.type)) {
        const record = recordOf(set, rdata);
        return record?.target === undefined ? [] : [{ name: record.target, place: record.svcb.priority }];
      }
      const host =
        set.type === Type.MX ? namedAt(rdata, 2) : set.type === Type.SRV ? namedAt(rdata, 6) : undefined;
      const place = ((rdata[0] ?? 0) << 8) | (rdata[1] ?? 0);
      // The root as a target says that there is no such service (RFC 7505 §3, RFC 2782).
      return host === undefined || host === rootName ? [] : [{ name: host, place }];
    }),
  );
  const names = found.sort((a, b) => a.place - b.place).map((f) => f.name);
  return [...new Set(names)].slice(0, targetsPerService);
}

/** Whether the answer holds addresses. */
export function hasHints(resolution: Resolution): boolean {
  return resolution.answer.some(
    (set) =>
      isService(set.type) &&
      set.rdatas.some((rdata) => {
        const record = recordOf(set, rdata);
        return record === undefined || hintsOf(record.svcb).length > 0;
      }),
  );
}

/** The names whose rules count for a lookup. */
export function rulesOf({ question, onBehalf }: Lookup): readonly [NameKey, ...NameKey[]] {
  if (!isService(question.type)) return namesOf(question.name, onBehalf);
  const host = hostOf(question.name);
  return namesOf(host, host === question.name ? undefined : question.name);
}

/** What a service is judged by. */
export interface ServiceContext {
  /** The host that was asked for, and whether its rule is `private`. */
  readonly host: NameKey;
  readonly insist: boolean;
  readonly targets: readonly Target[];
  /** The rule for an address of a target. */
  readonly groupOf: (target: NameKey, address: IpAddress) => Group;
  readonly isExempt: (address: IpAddress) => boolean;
}

export type JudgedService =
  /** It may leave as it is. */
  | { readonly kind: 'whole' }
  /**
   * Without the records and hints to which nothing may pass. `strict`: a rule forbids what was left out; else it is only
   * that protection is to be had elsewhere.
   */
  | {
      readonly kind: 'reduced';
      readonly resolution: Resolution;
      readonly reason: Reason;
      readonly strict: boolean;
    }
  | { readonly kind: 'refused'; readonly reason: Reason };

/**
 * What of an HTTPS or SVCB answer may leave, after its targets were looked up through the gate. Hints are addresses of
 * the target, so the key of the target counts (RFC 9460 §7.3), and the rules of both names.
 *
 * Where the rule of the host is `private`, another name may only take its place if signatures prove that it does, and
 * if the way to it is protected; else anybody on the way could lead the client to a host with a key of his own.
 */
export function judgeService(resolution: Resolution, context: ServiceContext): JudgedService {
  const fates: RecordFate[] = [];
  const answer = resolution.answer.flatMap((set): RRset[] => {
    if (!isService(set.type)) return [set];
    const rdatas = set.rdatas.flatMap((rdata): Uint8Array[] => {
      const fate = fateOf(set, rdata, resolution, context);
      fates.push(fate);
      return fate.kind === 'dropped' ? [] : [fate.kind === 'kept' ? rdata : fate.rdata];
    });
    return rdatas.length === 0 ? [] : [{ ...set, rdatas }];
  });
  const altered = fates.flatMap((f) => (f.kind === 'kept' ? [] : [f]));
  const [first] = altered;
  if (first === undefined) return { kind: 'whole' };
  if (fates.every((f) => f.kind === 'dropped')) return { kind: 'refused', reason: first.reason };
  const why = 'addresses to which nothing may pass are left out';
  return {
    kind: 'reduced',
    reason: (altered.find((f) => f.strict) ?? first).reason,
    strict: altered.some((f) => f.strict),
    resolution: {
      ...resolution,
      answer,
      // It is no longer what was signed.
      verdict: { status: 'indeterminate', ede: Ede.FORGED_ANSWER, why },
      ede: { code: Ede.FORGED_ANSWER, text: why },
    },
  };
}

type RecordFate =
  | { readonly kind: 'kept' }
  /** Left without some of its hints. */
  | { readonly kind: 'cut'; readonly rdata: Uint8Array; readonly reason: Reason; readonly strict: boolean }
  | { readonly kind: 'dropped'; readonly reason: Reason; readonly strict: true };

function fateOf(set: RRset, rdata: Uint8Array, resolution: Resolution, context: ServiceContext): RecordFate {
  const record = recordOf(set, rdata);
  const dropped = (reason: Reason): RecordFate => ({ kind: 'dropped', reason, strict: true });
  // A client must not use it (RFC 9460 §2.2); one that does would do so against the rule.
  if (!record) return context.insist ? dropped(malformed(set)) : { kind: 'kept' };
  if (record.target === undefined) return { kind: 'kept' };
  const { name, lookups } = context.targets.find((t) => t.name === record.target) ?? {
    name: record.target,
    lookups: [],
  };
  if (context.insist) {
    const reason = unusable(name, lookups, resolution, context);
    if (reason) return dropped(reason);
  }
  const released = lookups.flatMap(addressesOf);
  const hasKey = lookups.some((l) => l.plan !== undefined && hasProofs(l.plan));
  const isReleased = (hint: IpAddress): boolean => released.some((a) => sameAddress(a, hint));
  const forbidden: IpAddress[] = [];
  const unprotected: IpAddress[] = [];
  for (const hint of hintsOf(record.svcb)) {
    if (context.isExempt(hint) || isReleased(hint)) continue;
    const group = context.insist ? 'private' : context.groupOf(name, hint);
    if (group === 'private' || group === 'block') forbidden.push(hint);
    // The target's own addresses are protected, and this is none of them.
    else if (group === 'private-or-clear' && hasKey) unprotected.push(hint);
  }
  const [bad] = [...forbidden, ...unprotected];
  if (bad === undefined) return { kind: 'kept' };
  return {
    kind: 'cut',
    rdata: withoutHints(record.svcb, [...forbidden, ...unprotected]),
    reason: refusalOf(lookups) ?? strangeHint(bad, name),
    strict: forbidden.length > 0,
  };
}

/** Why the target may not take the place of a host that is `private`; undefined where it may. */
function unusable(
  target: NameKey,
  lookups: readonly Lookup[],
  resolution: Resolution,
  { host }: ServiceContext,
): Reason | undefined {
  const text = nameText(target);
  if (target !== host && resolution.verdict.status !== 'secure') {
    return {
      code: 'target-unproved',
      why: `${nameText(host)} names ${text} as the host of its service, and no signature proves that.`,
      remedy: `Whoever runs the zone of ${nameText(host)} should sign it with DNSSEC.`,
      ede: Ede.DNSSEC_INDETERMINATE,
    };
  }
  const refusal = refusalOf(lookups);
  const isSettled = lookups.every((l) => l.outcome !== undefined && !hasFailed(l));
  if (lookups.length > 0 && isSettled && lookups.some((l) => addressesOf(l).length > 0)) return undefined;
  return (
    refusal ?? {
      code: 'target-unprotected',
      why:
        target === host
          ? `No protection of the way to ${text} came about in time.`
          : `${text} gives the service of ${nameText(host)}, and no protection of the way to it came about in time.`,
      remedy: `Try \`oe why ${text}\`.`,
      ede: Ede.OTHER,
    }
  );
}

/** The resolvers gave no answer for the target. */
function hasFailed({ outcome }: Lookup): boolean {
  if (outcome?.kind !== 'answer') return false;
  const { rcode } = outcome.resolution;
  return rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN;
}

function refusalOf(lookups: readonly Lookup[]): Reason | undefined {
  for (const { verdict } of lookups) if (verdict?.state === 'blocked') return verdict.reason;
  return undefined;
}

/** The addresses that a client was given. */
function addressesOf({ outcome }: Lookup): IpAddress[] {
  return outcome?.kind === 'answer' ? addressesIn((outcome.reduced ?? outcome.resolution).answer) : [];
}

function recordOf(
  set: RRset,
  rdata: Uint8Array,
): { readonly svcb: Svcb; readonly target: NameKey | undefined } | undefined {
  const read = decodeSvcb(rdata);
  if (!read.ok) return undefined;
  const { priority, target } = read.value;
  // The root means the owner itself, or as an alias that there is no such service (RFC 9460 §2.5).
  if (target !== rootName) return { svcb: read.value, target };
  return { svcb: read.value, target: priority === 0 ? undefined : hostOf(set.owner) };
}

function hintsOf(svcb: Svcb): IpAddress[] {
  return svcb.priority === 0 ? [] : [...svcb.ipv4hint, ...svcb.ipv6hint];
}

function withoutHints(svcb: Svcb, hints: readonly IpAddress[]): Uint8Array {
  const left = (all: readonly IpAddress[], family: 4 | 6): IpAddress[] =>
    all.filter((a) => a.family === family && !hints.some((h) => sameAddress(a, h)));
  const [ipv4hint, ipv6hint] = [left(svcb.ipv4hint, 4), left(svcb.ipv6hint, 6)];
  const mandatory = svcb.mandatory.filter(
    (key) =>
      (key !== SvcParam.IPV4HINT || ipv4hint.length > 0) &&
      (key !== SvcParam.IPV6HINT || ipv6hint.length > 0),
  );
  return encodeSvcb({ ...svcb, mandatory, ipv4hint, ipv6hint });
}

function namedAt(rdata: Uint8Array, at: number): NameKey | undefined {
  const name = decoded(rdata.subarray(at), readPlainName);
  return name.ok ? name.value : undefined;
}

function malformed(set: RRset): Reason {
  return {
    code: 'service-malformed',
    why: `The service record of ${nameText(set.owner)} is not what RFC 9460 says it must be.`,
    ede: Ede.OTHER,
  };
}

function strangeHint(hint: IpAddress, target: NameKey): Reason {
  return {
    code: 'hint-unprotected',
    why: `${formatAddress(hint)} is given as an address of ${nameText(target)}, and the way to it is not protected.`,
    remedy: `Whoever runs ${nameText(target)} should give it the address that the hint names.`,
    ede: Ede.BLOCKED,
  };
}
