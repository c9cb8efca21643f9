import type { Resolution } from '../dns/resolver.ts';
import type { RRset } from '../dns/rrset.ts';
import { Type } from '../dns/types.ts';
import { addressOf, formatAddress, type IpAddress } from '../net/address.ts';

/** The addresses of A and AAAA RRsets. */
export function addressesIn(answer: readonly RRset[]): IpAddress[] {
  return answer.flatMap((s) => {
    if (s.type === Type.A) return s.rdatas.flatMap((r) => (r.length === 4 ? (addressOf(r) ?? []) : []));
    return s.type === Type.AAAA ? s.rdatas.flatMap((r) => (r.length === 16 ? (addressOf(r) ?? []) : [])) : [];
  });
}

/** The same answer with its addresses in this order; with `only`, without all others. */
export function ordered(resolution: Resolution, addresses: readonly IpAddress[], only = false): Resolution {
  if (!only && addresses.length < 2) return resolution;
  const place = new Map(addresses.map((a, i) => [formatAddress(a), i]));
  const placeOf = (rdata: Uint8Array): number => {
    const address = addressOf(rdata);
    return (address && place.get(formatAddress(address))) ?? Number.POSITIVE_INFINITY;
  };
  const answer = resolution.answer.flatMap((s): RRset[] => {
    if (s.type !== Type.A && s.type !== Type.AAAA) return [s];
    if (s.rdatas.length < 2)
      return only && s.rdatas.every((r) => placeOf(r) === Number.POSITIVE_INFINITY) ? [] : [s];
    const rdatas = s.rdatas
      .map((rdata) => ({ rdata, at: placeOf(rdata) }))
      .filter((r) => !only || r.at !== Number.POSITIVE_INFINITY)
      .sort((a, b) => (a.at === b.at ? 0 : a.at - b.at))
      .map((r) => r.rdata);
    return rdatas.length === 0 ? [] : [{ ...s, rdatas }];
  });
  return { ...resolution, answer };
}

/** Whether answers to questions of this type hold addresses of the name itself. */
export function hasAddresses(type: number): boolean {
  return type === Type.A || type === Type.AAAA || type === Type.ANY;
}

/** Seconds for which the key RRset may be kept, as the resolver says it now. */
export function keyTtl(resolution: Resolution | undefined): number {
  const ttls = resolution?.answer.map((s) => s.ttl) ?? [];
  return ttls.length === 0 ? 0 : Math.min(...ttls);
}
