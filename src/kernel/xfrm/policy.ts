import type { Reader } from '../../wire/reader.ts';
import { Reader as OctetReader } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';
import type { Mode, Policy, PolicyId, Template } from '../port.ts';
import { decodeAttributes, encodeAttribute, encodeU32 } from './netlink.ts';
import {
  AF_INET,
  AF_INET6,
  Attr,
  IPPROTO_ESP,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  POLICY_CPU_ACQUIRE,
} from './numbers.ts';
import {
  decodeAddress,
  decodeSelector,
  decodeUse,
  encodeAddress,
  encodeLifetime,
  encodeSelector,
  familyOf,
  type Selector,
} from './structs.ts';

/** Body of XFRM_MSG_NEWPOLICY and XFRM_MSG_UPDPOLICY. */
export function encodePolicy(w: Writer, policy: Policy): void {
  encodeSelector(w, selectorOf(policy));
  encodeLifetime(w, {});
  w.zeros(32); // curlft
  w.u32le(policy.priority);
  w.u32le(0); // index: the kernel gives one
  w.u8(directions.indexOf(policy.direction));
  w.u8(policy.action === 'allow' ? 0 : 1);
  w.u8(policy.perCpu === true ? POLICY_CPU_ACQUIRE : 0);
  w.u8(0); // share: any
  w.zeros(4);
  encodeWhose(w, policy);
  const { template } = policy;
  if (!template) return;
  encodeAttribute(w, Attr.TMPL, (a) => {
    encodeAddress(a, template.ends?.destination);
    a.u32(template.spi ?? 0);
    a.u8(IPPROTO_ESP);
    a.zeros(3);
    a.u16le(familyOf(policy.source.address));
    a.zeros(2);
    encodeAddress(a, template.ends?.source);
    a.u32le(template.reqid);
    a.u8(template.mode === 'transport' ? 0 : 1);
    a.u8(0); // share: any
    a.u8(template.optional === true ? 1 : 0);
    a.zeros(1);
    // Whatever algorithms the state has; the reqid says whose state it is.
    for (let i = 0; i < 3; i++) a.u32le(0xffff_ffff);
  });
}

/**
 * Body of XFRM_MSG_DELPOLICY and XFRM_MSG_GETPOLICY. With an `index` the kernel takes the policy of that number,
 * so that one which somebody else has put in its place meanwhile is not hit.
 */
export function encodePolicyId(w: Writer, id: PolicyId, index = 0): void {
  encodeSelector(w, selectorOf(id));
  w.u32le(index);
  w.u8(directions.indexOf(id.direction));
  w.zeros(3);
  encodeWhose(w, id);
}

/** The mark and the interface belong to what a policy is named by. */
function encodeWhose(w: Writer, { mark, interfaceId }: PolicyId): void {
  if (mark) {
    encodeAttribute(w, Attr.MARK, (a) => {
      a.u32le(mark.value);
      a.u32le(mark.mask);
    });
  }
  if (interfaceId !== undefined) encodeU32(w, Attr.IF_ID, interfaceId);
}

/** What the kernel says of a policy, whoever's it is. */
export interface PolicyReport {
  readonly index: number;
  readonly priority: number;
  /** Undefined where our words do not do: a socket's policy, a device, several templates, AH or IPComp. */
  readonly policy: Policy | undefined;
}

export function decodePolicy(r: Reader): PolicyReport {
  const info = decodePolicyInfo(r);
  return reported(info, decodeAttributes(r));
}

/** Struct xfrm_userpolicy_info. */
export interface PolicyInfo {
  readonly selector: Selector | undefined;
  readonly priority: number;
  readonly index: number;
  readonly direction: number;
  readonly action: number;
  readonly flags: number;
}

export function decodePolicyInfo(r: Reader): PolicyInfo {
  const selector = decodeSelector(r);
  r.skip(64);
  decodeUse(r);
  const priority = r.u32le();
  const index = r.u32le();
  const direction = r.u8();
  const action = r.u8();
  const flags = r.u8();
  r.skip(5);
  return { selector, priority, index, direction, action, flags };
}

export function reported(info: PolicyInfo, attributes: ReadonlyMap<number, Uint8Array>): PolicyReport {
  const { index, priority } = info;
  return { index, priority, policy: policyOf(info, attributes) };
}

function policyOf(info: PolicyInfo, attributes: ReadonlyMap<number, Uint8Array>): Policy | undefined {
  const { selector } = info;
  const direction = directions[info.direction];
  if (!selector || selector.ifindex !== 0 || direction === undefined || info.action > 1) return undefined;
  if ((attributes.get(Attr.POLICY_TYPE)?.[0] ?? 0) !== 0) return undefined;
  const id = policyIdOf(selector, direction);
  if (!id) return undefined;
  const policy = {
    ...id,
    ...whoseIn(attributes),
    priority: info.priority,
    action: info.action === 0 ? 'allow' : 'block',
    ...((info.flags & POLICY_CPU_ACQUIRE) !== 0 && { perCpu: true }),
  } as const;
  const templates = attributes.get(Attr.TMPL);
  if (!templates || templates.length === 0) return policy;
  const template = decodeTemplate(new OctetReader(templates));
  return template && { ...policy, template };
}

function whoseIn(attributes: ReadonlyMap<number, Uint8Array>): Pick<PolicyId, 'mark' | 'interfaceId'> {
  const number = (type: number, at: number): number => {
    const octets = attributes.get(type);
    if (!octets || octets.length < at + 4) return 0;
    return new DataView(octets.buffer, octets.byteOffset).getUint32(at, true);
  };
  const mark = { value: number(Attr.MARK, 0), mask: number(Attr.MARK, 4) };
  const interfaceId = number(Attr.IF_ID, 0);
  return { ...(mark.mask !== 0 && { mark }), ...(interfaceId !== 0 && { interfaceId }) };
}

function decodeTemplate(r: Reader): Template | undefined {
  const destination = r.octets(16);
  const spi = r.u32();
  const protocol = r.u8();
  r.skip(3);
  const family = r.u16le();
  r.skip(2);
  const source = r.octets(16);
  const reqid = r.u32le();
  const modeNumber = r.u8();
  r.u8(); // share
  const optional = r.u8() !== 0;
  r.skip(1 + 12);
  const mode = modes[modeNumber];
  if (r.remaining > 0 || protocol !== IPPROTO_ESP || mode === undefined) return undefined;
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  return {
    reqid,
    mode,
    ...(spi !== 0 && { spi }),
    ...(mode === 'tunnel' && {
      ends: {
        source: decodeAddress(r, family, source),
        destination: decodeAddress(r, family, destination),
      },
    }),
    ...(optional && { optional }),
  };
}

function selectorOf(id: PolicyId): Selector {
  const { source, destination, protocol = 0 } = id;
  // The kernel keeps an ICMP type where it keeps the source port (xfrm_flowi_sport).
  const sourcePort = id.icmpType ?? id.sourcePort;
  return { source, destination, protocol, sourcePort, destinationPort: id.destinationPort, ifindex: 0 };
}

function policyIdOf(selector: Selector, direction: PolicyId['direction']): PolicyId | undefined {
  const { source, destination, protocol, sourcePort, destinationPort } = selector;
  const base = { direction, source, destination };
  if (protocol === IPPROTO_ICMP || protocol === IPPROTO_ICMPV6) {
    if (destinationPort !== undefined) return undefined;
    return { ...base, protocol, ...(sourcePort !== undefined && { icmpType: sourcePort }) };
  }
  return {
    ...base,
    ...(protocol !== 0 && { protocol }),
    ...(sourcePort !== undefined && { sourcePort }),
    ...(destinationPort !== undefined && { destinationPort }),
  };
}

/** XFRM_POLICY_IN, OUT, FWD; a socket's policy has a higher number. */
const directions: readonly PolicyId['direction'][] = ['in', 'out', 'fwd'];
const modes: readonly Mode[] = ['transport', 'tunnel'];
