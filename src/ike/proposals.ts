import type { EspSuite } from './child.ts';
import type { IkeCipher } from './crypto/cipher.ts';
import { supportedGroups } from './crypto/dh.ts';
import { ikeSpiFrom, ikeSpiOctets, type IkeSpi } from './message.ts';
import {
  Encr,
  Group,
  Integ,
  Prf,
  Protocol,
  SequenceNumbers,
  TransformType,
  additionalTypes,
  encrName,
  groupName,
  integName,
  prfName,
} from './numbers.ts';
import type { Proposal, SaPayload, Transform } from './sa-payload.ts';

/** What protects an IKE SA. */
export interface IkeSuite {
  readonly cipher: IkeCipher;
  readonly prf: number;
  readonly group: number;
  /** Key exchange methods that follow the first, in their order (RFC 9370); often none. */
  readonly additional: readonly number[];
}

/** The group of the first KE payload that we send: both libreswan's and strongSwan's defaults take it. */
export const firstGroup: number = Group.CURVE25519;

/** `AES-GCM-16-256, PRF-HMAC-SHA2-512, CURVE25519 + ML-KEM-768`. */
export function describeIkeSuite(suite: IkeSuite): string {
  const { encr, keyBits, integ } = suite.cipher;
  return `${describeCipher(encr, keyBits, integ)}, ${dashed(prfName(suite.prf))}, ${keyExchangesOf(suite).join(' + ')}`;
}

/** `CURVE25519`, `ML-KEM-768`: the names of all that the keys of the IKE SA come from. */
export function keyExchangesOf({ group, additional }: IkeSuite): readonly string[] {
  return [group, ...additional].map(methodName);
}

/** `ML-KEM-768`. */
export function methodName(method: number): string {
  return dashed(groupName(method));
}

/** `AES-GCM-16-256`, `AES-CBC-256 with HMAC-SHA2-256-128`. */
export function describeEspSuite(suite: EspSuite): string {
  return describeCipher(suite.encr, suite.keyBits, suite.integ);
}

/**
 * What we offer for an IKE SA; `spi` only when one is rekeyed, `group` is that of the KE payload, `additional` are the
 * methods one of which may follow it.
 *
 * The first proposals have our group alone: libreswan chooses the group by its own order among all that a
 * proposal offers, without a look at the KE payload, and would ask for P-256 with INVALID_KE_PAYLOAD. Who does not know
 * Transform Type 6 passes over the proposal that has it (§3.3.6), so that it costs an old peer nothing.
 */
export function ikeProposals(
  options: { readonly group?: number; readonly spi?: IkeSpi; readonly additional?: readonly number[] } = {},
): Proposal[] {
  const first = options.group ?? firstGroup;
  const groups = [first, ...supportedGroups.filter((g) => g !== first)];
  const spi = options.spi === undefined ? new Uint8Array(0) : ikeSpiOctets(options.spi);
  const additional = (options.additional ?? []).filter((method) => method !== first);
  const proposals = [
    ...(additional.length > 0 ? [{ ciphers: aeadCiphers, groups: [first], additional }] : []),
    { ciphers: aeadCiphers.slice(0, 1), groups: [first], additional: [] },
    { ciphers: aeadCiphers, groups, additional: [] },
    { ciphers: cbcCiphers, groups, additional: [] },
  ];
  return proposals.map(({ ciphers, groups, additional }, i) => ({
    number: i + 1,
    protocol: Protocol.IKE,
    spi,
    transforms: [
      ...ciphers.map(encrTransform),
      ...ourPrfs.map((id) => ({ type: TransformType.PRF, id })),
      ...integsOf(ciphers).map((id) => ({ type: TransformType.INTEG, id })),
      ...groups.map((id) => ({ type: TransformType.KE, id })),
      ...additional.map((id) => ({ type: TransformType.ADDKE1, id })),
    ],
  }));
}

/** A choice: what goes back in the SA payload and what it means. */
export interface IkeChoice {
  readonly suite: IkeSuite;
  readonly answer: SaPayload;
  /** Of the peer, when an IKE SA is rekeyed. */
  readonly peerSpi: IkeSpi | undefined;
}

/**
 * Our choice as responder, in our order; `keGroup` (the peer's KE payload) wins among the groups that we take, so
 * that no round trip is lost. With `additional` (methods, best first) a proposal that has more key exchanges comes
 * before all that have one; without, it does not count. Undefined: NO_PROPOSAL_CHOSEN.
 */
export function chooseIke(
  offered: SaPayload,
  options: { readonly keGroup?: number; readonly spi?: IkeSpi; readonly additional?: readonly number[] } = {},
): IkeChoice | undefined {
  const rekey = options.spi !== undefined;
  const proposals = offered.proposals.filter(
    (p) => p.protocol === Protocol.IKE && p.spi.length > 0 === rekey && hasOnly(p, ikeTransformTypes),
  );
  const groupLists = withFirst(options.keGroup, supportedGroups);
  for (const isWanted of [true, false]) {
    for (const cipher of ourCiphers) {
      for (const groups of groupLists) {
        for (const proposal of proposals) {
          const encr = findCipher(proposal, cipher);
          const prf = firstOf(proposal, TransformType.PRF, ourPrfs);
          const group = firstOf(proposal, TransformType.KE, groups);
          if (!encr || !prf || !group) continue;
          const more = findAdditional(proposal, options.additional ?? [], group.id);
          if (!more || methodsOf(more).length > 0 !== isWanted) continue;
          return {
            suite: { cipher, prf: prf.id, group: group.id, additional: methodsOf(more) },
            answer: answerTo(
              proposal,
              options.spi === undefined ? new Uint8Array(0) : ikeSpiOctets(options.spi),
              [...encr, prf, group, ...more],
            ),
            peerSpi: rekey ? ikeSpiFrom(proposal.spi) : undefined,
          };
        }
      }
    }
  }
  return undefined;
}

/** The peer's answer as initiator reads it: one of our offers with one transform of each type, else undefined. */
export function acceptIke(offered: readonly Proposal[], answer: SaPayload): IkeChoice | undefined {
  const chosen = onlyAnswer(offered, answer);
  if (!chosen) return undefined;
  const one = (type: number): Transform | undefined => chosen.transforms.find((t) => t.type === type);
  const [encr, prf, integ, group] = [
    one(TransformType.ENCR),
    one(TransformType.PRF),
    one(TransformType.INTEG),
    one(TransformType.KE),
  ];
  const cipher = ourCiphers.find(
    (c) => c.encr === encr?.id && c.keyBits === keyBitsOf(encr) && c.integ === integ?.id,
  );
  const additional = methodsOf(chosen.transforms);
  if (!cipher || !prf || !group || !areDifferent([group.id, ...additional])) return undefined;
  return {
    suite: { cipher, prf: prf.id, group: group.id, additional },
    answer,
    peerSpi: chosen.spi.length === 0 ? undefined : ikeSpiFrom(chosen.spi),
  };
}

/** What we offer for a Child SA: `suites` as the kernel has them, ESN first; `groups` only with PFS. */
export function espProposals(
  suites: readonly EspSuite[],
  spi: number,
  groups: readonly number[] = [],
): Proposal[] {
  const spiOctets = espSpiOctets(spi);
  // One proposal has either AEADs or ciphers that want a checksum (RFC 7296 §3.3), the better kind first.
  const kinds = [suites.filter((s) => s.integ === undefined), suites.filter((s) => s.integ !== undefined)];
  return kinds
    .filter((kind) => kind.length > 0)
    .map((kind, i) => ({
      number: i + 1,
      protocol: Protocol.ESP,
      spi: spiOctets,
      transforms: [
        ...unique(kind.map(encrTransform)),
        ...integsOf(kind).map((id) => ({ type: TransformType.INTEG, id })),
        ...groups.map((id) => ({ type: TransformType.KE, id })),
        ...ourSequenceNumbers.map((id) => ({ type: TransformType.SN, id })),
      ],
    }));
}

export interface EspChoice {
  readonly suite: EspSuite;
  readonly esn: boolean;
  /** Of the peer's inbound SA. */
  readonly peerSpi: number;
  /** Of the answer's Transform Type 4 (PFS), where there is one and it is not NONE. */
  readonly group: number | undefined;
  /** Key exchange methods that follow it (RFC 9370). */
  readonly additional: readonly number[];
  readonly answer: SaPayload;
}

/**
 * Our choice as responder, in the order of `suites`; `spi` is of our inbound SA. Without `groups` (IKE_AUTH) only
 * a proposal that does without PFS will do. Undefined: NO_PROPOSAL_CHOSEN.
 */
export function chooseEsp(
  offered: SaPayload,
  suites: readonly EspSuite[],
  spi: number,
  options: {
    readonly groups?: readonly number[];
    readonly keGroup?: number;
  } = {},
): EspChoice | undefined {
  const proposals = offered.proposals.filter(
    (p) => p.protocol === Protocol.ESP && isEspSpi(p.spi) && hasOnly(p, espTransformTypes),
  );
  const groupLists = withFirst(options.keGroup, options.groups ?? []);
  for (const suite of suites) {
    for (const groups of groupLists) {
      for (const proposal of proposals) {
        const encr = findCipher(proposal, suite);
        const sn = firstOf(proposal, TransformType.SN, ourSequenceNumbers);
        const group = findChildGroup(proposal, groups);
        if (!encr || !sn || group === undefined) continue;
        // None is added for a child, whose keys come from an SK_d that may have more than one (RFC 9370 §2.2.4).
        const more = findAdditional(proposal, [], Group.NONE);
        if (!more) continue;
        const answer = answerTo(proposal, espSpiOctets(spi), [...encr, ...group, ...more, sn]);
        return espChoice(suite, proposal.spi, sn, [...group, ...more], answer);
      }
    }
  }
  return undefined;
}

/** As {@link acceptIke}, for a Child SA. */
export function acceptEsp(offered: readonly Proposal[], answer: SaPayload): EspChoice | undefined {
  const chosen = onlyAnswer(offered, answer);
  if (chosen?.protocol !== Protocol.ESP || !isEspSpi(chosen.spi)) return undefined;
  const one = (type: number): Transform | undefined => chosen.transforms.find((t) => t.type === type);
  const [encr, sn] = [one(TransformType.ENCR), one(TransformType.SN)];
  if (!encr || !sn) return undefined;
  const integ = one(TransformType.INTEG)?.id;
  const suite: EspSuite = {
    encr: encr.id,
    keyBits: keyBitsOf(encr),
    ...(integ !== undefined && integ !== Integ.NONE && { integ }),
  };
  const choice = espChoice(suite, chosen.spi, sn, chosen.transforms, answer);
  return areDifferent([choice.group, ...choice.additional]) ? choice : undefined;
}

// ---- what is ours

const aeadCiphers: readonly IkeCipher[] = [
  { encr: Encr.ENCR_AES_GCM_16, keyBits: 256, integ: undefined },
  { encr: Encr.ENCR_AES_GCM_16, keyBits: 128, integ: undefined },
  { encr: Encr.ENCR_CHACHA20_POLY1305, keyBits: 256, integ: undefined },
];

const cbcIntegs = [Integ.AUTH_HMAC_SHA2_256_128, Integ.AUTH_HMAC_SHA2_512_256, Integ.AUTH_HMAC_SHA2_384_192];

const cbcCiphers: readonly IkeCipher[] = [256, 128].flatMap((keyBits) =>
  cbcIntegs.map((integ) => ({ encr: Encr.ENCR_AES_CBC, keyBits, integ })),
);

const ourCiphers: readonly IkeCipher[] = [...aeadCiphers, ...cbcCiphers];
const ourPrfs: readonly number[] = [Prf.PRF_HMAC_SHA2_512, Prf.PRF_HMAC_SHA2_256, Prf.PRF_HMAC_SHA2_384];
const ourSequenceNumbers: readonly number[] = [SequenceNumbers.SN_64_PARTIAL, SequenceNumbers.SN_32];
const ikeTransformTypes: readonly number[] = [
  TransformType.ENCR,
  TransformType.PRF,
  TransformType.INTEG,
  TransformType.KE,
  ...additionalTypes,
];
const espTransformTypes: readonly number[] = [
  TransformType.ENCR,
  TransformType.INTEG,
  TransformType.KE,
  TransformType.SN,
  ...additionalTypes,
];

// ---- transforms

interface CipherLike {
  readonly encr: number;
  readonly keyBits: number;
  readonly integ?: number | undefined;
}

function encrTransform(cipher: CipherLike): Transform {
  // ChaCha20 has one length of the key and so no attribute (RFC 7634 §4).
  return cipher.encr === Encr.ENCR_CHACHA20_POLY1305
    ? { type: TransformType.ENCR, id: cipher.encr }
    : { type: TransformType.ENCR, id: cipher.encr, keyBits: cipher.keyBits };
}

function keyBitsOf(encr: Transform): number {
  return encr.id === Encr.ENCR_CHACHA20_POLY1305 ? 256 : (encr.keyBits ?? 0);
}

function integsOf(ciphers: readonly CipherLike[]): number[] {
  return [...new Set(ciphers.flatMap((c) => (c.integ === undefined ? [] : [c.integ])))];
}

function unique(transforms: readonly Transform[]): Transform[] {
  return transforms.filter((t, i) => transforms.findIndex((u) => sameTransform(t, u)) === i);
}

function sameTransform(a: Transform, b: Transform): boolean {
  return (
    a.type === b.type &&
    a.id === b.id &&
    a.keyBits === b.keyBits &&
    // §3.3.6: an attribute that is not understood makes the transform unacceptable.
    a.unknownAttributes === undefined &&
    b.unknownAttributes === undefined
  );
}

/** §3.3.6: a proposal with a type of transform that is not understood is unacceptable. */
function hasOnly(proposal: Proposal, types: readonly number[]): boolean {
  return proposal.transforms.every((t) => types.includes(t.type));
}

function transformsOf(proposal: Proposal, type: number): Transform[] {
  return proposal.transforms.filter((t) => t.type === type);
}

/** The first of `ids` that the proposal offers, plainly. */
function firstOf(proposal: Proposal, type: number, ids: readonly number[]): Transform | undefined {
  for (const id of ids) {
    const wanted = { type, id };
    if (proposal.transforms.some((t) => sameTransform(t, wanted))) return wanted;
  }
  return undefined;
}

/** The ENCR and, where there is one, the INTEG transform with which `proposal` offers `cipher`. */
function findCipher(proposal: Proposal, cipher: CipherLike): Transform[] | undefined {
  const encr = encrTransform(cipher);
  if (!proposal.transforms.some((t) => sameTransform(t, encr))) return undefined;
  if (cipher.integ !== undefined) {
    const integ = firstOf(proposal, TransformType.INTEG, [cipher.integ]);
    return integ && [encr, integ];
  }
  // An AEAD goes without a checksum of its own: none is offered, or NONE is (§3.3).
  if (transformsOf(proposal, TransformType.INTEG).length === 0) return [encr];
  const none = firstOf(proposal, TransformType.INTEG, [Integ.NONE]);
  return none && [encr, none];
}

/**
 * One transform for each type of additional key exchange that the proposal has: NONE where it allows that and nothing
 * else does, and no method twice (RFC 9370 §2.2.1). Undefined: it wants what we do not do.
 */
function findAdditional(
  proposal: Proposal,
  methods: readonly number[],
  first: number,
): readonly Transform[] | undefined {
  const found: Transform[] = [];
  for (const type of additionalTypes) {
    if (transformsOf(proposal, type).length === 0) continue;
    const left = methods.filter((m) => m !== first && !found.some((t) => t.id === m));
    const one = firstOf(proposal, type, [...left, Group.NONE]);
    if (!one) return undefined;
    found.push(one);
  }
  return found;
}

/** The additional key exchange methods among `transforms`, in the order in which they are done. */
function methodsOf(transforms: readonly Transform[]): number[] {
  return additionalTypes.flatMap((type) =>
    transforms.filter((t) => t.type === type && t.id !== Group.NONE).map((t) => t.id),
  );
}

function areDifferent(methods: readonly (number | undefined)[]): boolean {
  return new Set(methods).size === methods.length;
}

/** The KE transform of a child, as a list of one, or none where the proposal goes without. Undefined: no match. */
function findChildGroup(proposal: Proposal, groups: readonly number[]): Transform[] | undefined {
  if (transformsOf(proposal, TransformType.KE).length === 0) return [];
  const group = firstOf(proposal, TransformType.KE, [...groups, Group.NONE]);
  return group && [group];
}

/** The lists of groups to try in turn: that of the KE payload alone, then all. */
function withFirst(keGroup: number | undefined, groups: readonly number[]): (readonly number[])[] {
  return keGroup !== undefined && groups.includes(keGroup) ? [[keGroup], groups] : [groups];
}

function answerTo(proposal: Proposal, spi: Uint8Array, transforms: readonly Transform[]): SaPayload {
  return {
    kind: 'SA',
    proposals: [{ number: proposal.number, protocol: proposal.protocol, spi, transforms }],
  };
}

/**
 * The one proposal of an answer, if it takes exactly one transform of each type out of one of our offers. Old
 * implementations do not see the types of RFC 9370 and answer as if they were not there; we take that, for the same
 * algorithms are among our other proposals, and AUTH shows it if somebody has cut them out on the way.
 */
function onlyAnswer(offered: readonly Proposal[], answer: SaPayload): Proposal | undefined {
  const [chosen, ...others] = answer.proposals;
  if (!chosen || others.length > 0) return undefined;
  const offer = offered.find((p) => p.number === chosen.number && p.protocol === chosen.protocol);
  if (offer?.spi.length !== chosen.spi.length) return undefined;
  const answered = new Set(chosen.transforms.map((t) => t.type));
  const isBlind = additionalTypes.every((type) => !answered.has(type));
  const wanted = offer.transforms.map((t) => t.type).filter((t) => !isBlind || !additionalTypes.includes(t));
  if (chosen.transforms.length !== answered.size || new Set(wanted).size !== answered.size) return undefined;
  return chosen.transforms.every((t) => offer.transforms.some((o) => sameTransform(o, t)))
    ? chosen
    : undefined;
}

function espChoice(
  suite: EspSuite,
  peerSpi: Uint8Array,
  sn: Transform,
  transforms: readonly Transform[],
  answer: SaPayload,
): EspChoice {
  const group = transforms.find((t) => t.type === TransformType.KE);
  return {
    suite,
    esn: sn.id === SequenceNumbers.SN_64_PARTIAL,
    peerSpi: espSpiFrom(peerSpi),
    group: group === undefined || group.id === Group.NONE ? undefined : group.id,
    additional: methodsOf(transforms),
    answer,
  };
}

function espSpiOctets(spi: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, spi);
  return octets;
}

function espSpiFrom(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0);
}

/** 0 to 255 name no SA (RFC 4303 §2.1). */
function isEspSpi(octets: Uint8Array): boolean {
  return octets.length === 4 && espSpiFrom(octets) > 255;
}

// ---- words

function describeCipher(encr: number, keyBits: number, integ: number | undefined): string {
  if (encr === Encr.ENCR_CHACHA20_POLY1305) return 'ChaCha20-Poly1305';
  const name = `${dashed(encrName(encr).replace(/^ENCR_/, ''))}-${keyBits}`;
  return integ === undefined ? name : `${name} with ${dashed(integName(integ).replace(/^AUTH_/, ''))}`;
}

function dashed(name: string): string {
  return name.replaceAll('_', '-');
}
