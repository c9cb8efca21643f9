import type { IpAddress } from '../net/address.ts';
import { compareOctets, sameOctets } from '../wire/octets.ts';
import type { TrafficSelector, TsPayload } from './payloads.ts';

/** Exactly the address: every protocol, every port (RFC 7296 §3.13.1). */
export function selectorsOf(kind: TsPayload['kind'], address: IpAddress): TsPayload {
  const { octets } = address;
  return {
    kind,
    selectors: [{ kind: 'range', protocol: 0, startPort: 0, endPort: 65_535, start: octets, end: octets }],
  };
}

/** Every address of the family, for a peer that is to narrow it to the one by which it knows us (RFC 7296 §2.9). */
export function selectorsOfAll(kind: TsPayload['kind'], { octets }: IpAddress): TsPayload {
  const [start, end] = [new Uint8Array(octets.length), new Uint8Array(octets.length).fill(0xff)];
  return {
    kind,
    selectors: [{ kind: 'range', protocol: 0, startPort: 0, endPort: 65_535, start, end }],
  };
}

/**
 * What we answer to a peer's selectors: the host alone, however wide they are (RFC 7296 §2.9). Where a NAT hides the
 * host, the peer knows it by another address, and that one is given back: we put the real one in its place
 * (§2.23.1). Undefined: the host is not among them, or only some of its traffic (TS_UNACCEPTABLE).
 */
export function narrowed(offered: TsPayload, host: IpAddress, behindNat: boolean): TsPayload | undefined {
  if (offered.selectors.some((s) => covers(s, host))) return selectorsOf(offered.kind, host);
  if (!behindNat) return undefined;
  const single = offered.selectors.find(
    (s) => isWholeHost(s) && sameOctets(s.start, s.end) && s.start.length === host.octets.length,
  );
  return single && { kind: offered.kind, selectors: [single] };
}

/** Whether the peer's answer is what we offered: the host and nothing else. */
export function isExactly(answered: TsPayload, host: IpAddress, behindNat: boolean): boolean {
  const [selector, ...others] = answered.selectors;
  if (!selector || others.length > 0 || !isWholeHost(selector)) return false;
  if (!sameOctets(selector.start, selector.end)) return false;
  return behindNat ? selector.start.length === host.octets.length : sameOctets(selector.start, host.octets);
}

type Range = Extract<TrafficSelector, { readonly kind: 'range' }>;

function covers(selector: TrafficSelector, host: IpAddress): boolean {
  return (
    isWholeHost(selector) &&
    selector.start.length === host.octets.length &&
    compareOctets(selector.start, host.octets) <= 0 &&
    compareOctets(host.octets, selector.end) <= 0
  );
}

/** Not limited to a protocol or to ports. */
function isWholeHost(selector: TrafficSelector): selector is Range {
  return (
    selector.kind === 'range' &&
    selector.protocol === 0 &&
    selector.startPort === 0 &&
    selector.endPort === 65_535
  );
}
