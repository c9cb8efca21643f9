import { formatAddress, type IpAddress } from '../net/address.ts';
import { formatPrefix, prefixContains, type Prefix } from '../net/prefix.ts';
import type { Policy, PolicyId, StateId, Template } from './port.ts';

/** Equal ids have equal keys. */
export function policyKey(id: PolicyId): string {
  const { direction, source, destination, protocol, sourcePort, destinationPort, icmpType } = id;
  const { mark, interfaceId } = id;
  const numbers = [protocol, sourcePort, destinationPort, icmpType, mark?.value, mark?.mask, interfaceId];
  const rest = numbers.map((n) => n ?? '*').join(' ');
  return `${direction} ${formatPrefix(source)} ${formatPrefix(destination)} ${rest}`;
}

/** Equal ids have equal keys. */
export function stateKey(id: StateId): string {
  return `${formatAddress(id.destination)} ${id.spi}`;
}

/** The same id, and the same is done with its packets. */
export function samePolicy(a: Policy, b: Policy): boolean {
  return (
    policyKey(a) === policyKey(b) &&
    a.priority === b.priority &&
    a.action === b.action &&
    (a.perCpu ?? false) === (b.perCpu ?? false) &&
    sameTemplate(a.template, b.template)
  );
}

/** Which packets a policy is about, of those that have these addresses. */
export interface Flow {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** IP protocol number. */
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
  /** Absent: 0. */
  readonly mark?: number;
  readonly interfaceId?: number;
}

export function covers(id: PolicyId, flow: Flow): boolean {
  return (
    prefixContains(id.source, flow.source) &&
    prefixContains(id.destination, flow.destination) &&
    (id.protocol === undefined || id.protocol === flow.protocol) &&
    (id.sourcePort === undefined || id.sourcePort === flow.sourcePort) &&
    (id.destinationPort === undefined || id.destinationPort === flow.destinationPort) &&
    (id.icmpType === undefined || id.icmpType === flow.icmpType) &&
    (id.mark === undefined || ((flow.mark ?? 0) & id.mark.mask) >>> 0 === id.mark.value) &&
    (id.interfaceId ?? 0) === (flow.interfaceId ?? 0)
  );
}

/** One of them lies within the other: prefixes overlap in no other way. */
export function overlap(a: Prefix, b: Prefix): boolean {
  return within(a, b) || within(b, a);
}

/** `inner` is `outer` or a part of it. */
export function within(inner: Prefix, outer: Prefix): boolean {
  return inner.length >= outer.length && prefixContains(outer, inner.address);
}

function sameTemplate(a: Template | undefined, b: Template | undefined): boolean {
  if (!a || !b) return a === b;
  return (
    a.reqid === b.reqid &&
    a.mode === b.mode &&
    (a.spi ?? 0) === (b.spi ?? 0) &&
    (a.optional ?? false) === (b.optional ?? false) &&
    endsText(a) === endsText(b)
  );
}

function endsText(template: Template): string {
  const { ends } = template;
  return ends ? `${formatAddress(ends.source)} ${formatAddress(ends.destination)}` : '';
}
