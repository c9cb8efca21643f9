/**
 * Signed zones in memory and a server that answers for all of them at once, as a recursive resolver would: for the
 * validator's tests and for simulations. Keys follow from the zone's name, signatures are made when they are first
 * wanted and shared by all worlds in the process.
 */
import type { TrustAnchor } from '../../src/dns/anchors.ts';
import { canonicalRdatas } from '../../src/dns/canonical.ts';
import { Algorithm, Digest } from '../../src/dns/dnssec/algorithms.ts';
import { toBase32Hex } from '../../src/dns/dnssec/base32.ts';
import { dsDigest, nsec3Hash } from '../../src/dns/dnssec/crypto.ts';
import { ownerLabels, signedOctets } from '../../src/dns/dnssec/signature.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type Question,
  type ResourceRecord,
} from '../../src/dns/message.ts';
import {
  ancestorOf,
  compareNames,
  isBelow,
  labelCount,
  labelsOf,
  nameOf,
  nameOfLabels,
  octetsOfName,
  parentOf,
  rebased,
  wildcardOf,
  type NameKey,
} from '../../src/dns/name.ts';
import { Class, Rcode, Type } from '../../src/dns/types.ts';
import { parseAddress } from '../../src/net/address.ts';
import { wallSeconds } from '../../src/time.ts';
import { compareOctets, concatOctets, fromLatin1, toLatin1 } from '../../src/wire/octets.ts';
import { readPlainName } from '../../src/dns/name.ts';
import { decoded } from '../../src/wire/reader.ts';
import { encoded } from '../../src/wire/writer.ts';
import { writeTypeBitmap } from './bitmap.ts';
import { dsRdata, revokedKey, signingKey, type SigningKey } from './signing.ts';

/** The date on which worlds are signed, a day after the signatures begin and a month before they end. */
export const signingDate = wallSeconds(Date.UTC(2026, 10, 24, 12) / 1000);
const [dayBefore, monthAfter] = [signingDate - 86_400, signingDate + 30 * 86_400];

export interface ZoneSpec {
  /** `.` or `example.org`. */
  readonly name: string;
  /** Left out or false: the zone is unsigned, its parent has no DS. */
  readonly signed?: boolean;
  /** ED25519, the fastest, where nothing else is said. */
  readonly algorithm?: number;
  readonly denial?: 'NSEC' | 'NSEC3';
  /** NSEC3 that leaves unsigned delegations out (RFC 5155 §6). */
  readonly optOut?: boolean;
  /** NSEC3 that spans no more than the hash that it denies, made for each question (RFC 7129 appendix B). */
  readonly narrow?: boolean;
  /** NSEC that says of names that are not there that they have no records (RFC 9824). */
  readonly compact?: boolean;
  readonly iterations?: number;
  readonly salt?: Uint8Array;
  readonly ttl?: number;
  /** SOA MINIMUM, seconds. */
  readonly minimum?: number;
  /** DS digest types in the parent, SHA-256 where nothing else is said. */
  readonly digests?: readonly number[];
  /** Flags and protocol of its DNSKEY, 257 and 3 where nothing else is said. */
  readonly keyFlags?: number;
  readonly keyProtocol?: number;
  /** Instead of one key that signs everything. */
  readonly keys?: readonly KeySpec[];
  /** Nobody above knows of it. */
  readonly undelegated?: boolean;
  /** Addresses of its name server, for {@link SignedWorld.serve} and the referrals to it. */
  readonly servers?: readonly string[];
}

/** One of several keys of a zone. */
export interface KeySpec {
  /** Tells keys of one zone apart, for {@link Spoiled.onlyKey}. */
  readonly id: string;
  readonly algorithm: number;
  readonly flags?: number;
  readonly protocol?: number;
  readonly signs: 'keys' | 'rest' | 'all' | 'nothing';
  /** It is not in the DNSKEY RRset. */
  readonly unpublished?: boolean;
  /** With the REVOKE bit (RFC 5011 §2.1). */
  readonly revoked?: boolean;
  /** The parent has a DS of it; where nothing is said, of those that sign the keys. */
  readonly inParent?: boolean;
}

/** How a signature is to be made wrong; what is left out stays as it should be. */
export interface Spoiled {
  /** No signature at all. */
  readonly missing?: boolean;
  readonly inception?: number;
  readonly expiration?: number;
  readonly signer?: string;
  readonly keyTag?: number;
  readonly labels?: number;
  readonly originalTtl?: number;
  readonly algorithm?: number;
  readonly typeCovered?: number;
  /** Signed by the key of another zone, under this zone's name and key tag. */
  readonly keyOf?: string;
  /** One bit of the signature is turned round. */
  readonly flipped?: boolean;
  /** So many wrong signatures stand before the true one. */
  readonly forged?: number;
  /** Only the signature by this key of the zone is made wrong. */
  readonly onlyKey?: string;
}

/** Changes a reply; `server`: the address that it comes from, where the servers are told apart. */
type Tamper = (message: Message, question: Question, server?: string) => Message;

/** Names, types and RDATA of a world; asks and answers in real messages. */
export class SignedWorld {
  readonly #zones = new Map<NameKey, Zone>();
  readonly #tampers: Tamper[] = [];
  /** Whether aliases are followed, as a recursive resolver does. */
  chases = true;
  /** Octets that go into a UDP reply: over it, TC is set. */
  udpLimit = 1232;

  constructor(zones: readonly ZoneSpec[]) {
    for (const spec of zones) {
      const zone = new Zone(spec);
      this.#zones.set(zone.name, zone);
    }
    for (const zone of this.#zones.values()) if (!zone.isUndelegated) this.#above(zone.name)?.delegate(zone);
  }

  /** DS records of the topmost signed zone, or of `zone`. */
  anchors(zone = '.'): TrustAnchor[] {
    const { name, ds } = this.#zone(key(zone));
    return ds.map((rdata) => ({ kind: 'DS', owner: name, rdata }));
  }

  /** DS records of one of the keys of `zone`, in force or not. */
  anchorsOfKey(zone: string, id: string): TrustAnchor[] {
    const { name, dsOfKey } = this.#zone(key(zone));
    return dsOfKey(id).map((rdata) => ({ kind: 'DS', owner: name, rdata }));
  }

  dnskeyAnchors(zone = '.'): TrustAnchor[] {
    const { name, key: signingKey } = this.#zone(key(zone));
    return [{ kind: 'DNSKEY', owner: name, rdata: signingKey.rdata }];
  }

  /** Adds a record to the zone that holds `owner`. */
  add(owner: string, type: number, rdata: Uint8Array, ttl?: number): this {
    const name = key(owner);
    this.#holder(name, type).add(name, type, rdata, ttl);
    return this;
  }

  /** Takes an RRset away again. */
  remove(owner: string, type: number): this {
    const name = key(owner);
    this.#holder(name, type).remove(name, type);
    return this;
  }

  /** Puts another RRset in place of one, or of the DNSKEY or DS that the world made itself. */
  replace(owner: string, type: number, rdatas: readonly Uint8Array[]): this {
    const name = key(owner);
    const zone = this.#holder(name, type);
    zone.remove(name, type);
    for (const rdata of rdatas) zone.add(name, type, rdata);
    return this;
  }

  /** The signature of an RRset (NSEC and NSEC3 included), of `zone` or the one that holds it, is made wrong from now on. */
  spoil(owner: string, type: number, how: Spoiled, zone?: string): this {
    const name = key(owner);
    const by = zone === undefined ? this.#holder(name, type) : this.#zone(key(zone));
    by.spoil(name, type, how);
    return this;
  }

  /** All signatures of a zone are made wrong from now on. */
  spoilZone(zone: string, how: Spoiled): this {
    this.#zone(key(zone)).spoilAll(how);
    return this;
  }

  /** Changes every reply on its way out; the last added goes last. */
  tamper(change: Tamper): this {
    this.#tampers.push(change);
    return this;
  }

  /** What becomes of a reply on its way out. */
  tampered(reply: Message, question: Question, server?: string): Message {
    return this.#tampers.reduce((message, tamper) => tamper(message, question, server), reply);
  }

  /** The first key of a zone, its DNSKEY RRset and its DS, as RDATA. */
  keysOf(zone: string): Pick<Zone, 'ds' | 'dnskeys'> & { readonly dnskey: Uint8Array } {
    const { key: first, ds, dnskeys } = this.#zone(key(zone));
    return { dnskey: first.rdata, ds, dnskeys };
  }

  /** The NSEC or NSEC3 that matches or spans `name`, with its signature, of the zone that holds it or another. */
  denialAt(name: string, zone?: string): readonly ResourceRecord[] {
    const from = zone === undefined ? this.#holder(key(name), Type.NSEC) : this.#zone(key(zone));
    return from.denying(key(name));
  }

  /** An NSEC as the zone would sign it, whatever it says. */
  signedNsec(owner: string, next: string, types: readonly number[]): readonly ResourceRecord[] {
    const rdata = encoded((w) => {
      w.octets(wire(next));
      writeTypeBitmap(w, types);
    });
    return this.signed(owner, Type.NSEC, [rdata]);
  }

  /** Any RRset as the zone that holds `owner`, or another, would sign it; it does not get into the zone. */
  signed(
    owner: string,
    type: number,
    rdatas: readonly Uint8Array[],
    zone?: string,
  ): readonly ResourceRecord[] {
    const by = zone === undefined ? this.#holder(key(owner), type) : this.#zone(key(zone));
    return by.signed(key(owner), type, rdatas);
  }

  /** The reply of the resolver that knows all zones; `transport` decides about truncation. */
  answer(octets: Uint8Array, transport: 'udp' | 'tcp' = 'udp'): Uint8Array {
    const query = decodeMessage(octets);
    const question = query.ok ? query.value.questions[0] : undefined;
    if (!query.ok || !question) throw new Error('a world takes whole questions');
    let reply: Message = {
      ...query.value,
      response: true,
      recursionAvailable: true,
      ...this.resolve(question, query.value.edns?.dnssecOk ?? false),
      additional: [],
      edns: { version: 0, udpSize: 1232, dnssecOk: query.value.edns?.dnssecOk ?? false, options: [] },
    };
    reply = this.tampered(reply, question);
    const whole = encodeMessage(reply);
    if (transport === 'tcp' || whole.length <= this.udpLimit) return withCaseOf(octets, whole);
    return withCaseOf(octets, encodeMessage({ ...reply, truncated: true, answer: [], authority: [] }));
  }

  get zoneNames(): readonly NameKey[] {
    return [...this.#zones.keys()];
  }

  /** Addresses of servers and the zones that each of them has. */
  get servers(): ReadonlyMap<string, readonly NameKey[]> {
    const servers = new Map<string, NameKey[]>();
    for (const zone of this.#zones.values())
      for (const server of zone.servers) servers.set(server, [...(servers.get(server) ?? []), zone.name]);
    return servers;
  }

  /** What a server says that has authority for `zones` alone: its data, a denial, or a referral (RFC 1034 §4.3.2). */
  serve(
    zones: readonly NameKey[],
    question: Question,
    dnssecOk = true,
  ): Pick<Message, 'rcode' | 'authoritative' | 'answer' | 'authority' | 'additional'> {
    const { name, type } = question;
    const holders = zones.filter((z) => isBelow(name, z)).sort((a, b) => b.length - a.length);
    // Of DS the parent's side speaks, where it is here (RFC 4035 §3.1.4.1).
    const zone = this.#zones.get(
      (type === Type.DS && holders[0] === name && holders[1]) || (holders[0] ?? name),
    );
    if (!zone || holders.length === 0)
      return { rcode: Rcode.REFUSED, authoritative: false, answer: [], authority: [], additional: [] };
    const cut = zone.cutAbove(name, type);
    const wanted = wantedWith(dnssecOk);
    if (cut === undefined) {
      const { rcode, answer, authority } = zone.answer(name, type);
      return {
        rcode,
        authoritative: true,
        answer: onceEach(answer.filter(wanted)),
        authority: onceEach(authority.filter(wanted)),
        additional: [],
      };
    }
    const authority = onceEach(zone.referral(cut).filter(wanted));
    const hosts = authority.filter((r) => r.type === Type.NS).map((r) => targetOf(r.rdata));
    const additional = hosts
      .filter((host) => isBelow(host, zone.name))
      .flatMap((host) => [Type.A, Type.AAAA].flatMap((t) => this.#holder(host, t).answer(host, t).answer))
      .filter((r) => r.type === Type.A || r.type === Type.AAAA);
    return { rcode: Rcode.NOERROR, authoritative: false, answer: [], authority, additional };
  }

  /** The sections of the answer. */
  resolve(question: Question, dnssecOk = true): Pick<Message, 'rcode' | 'answer' | 'authority'> {
    const answer: ResourceRecord[] = [];
    const authority: ResourceRecord[] = [];
    let rcode: number = Rcode.NOERROR;
    const seen = new Set<NameKey>();
    for (let at: NameKey | undefined = question.name; at !== undefined && !seen.has(at);) {
      seen.add(at);
      const part = this.#holder(at, question.type).answer(at, question.type);
      answer.push(...part.answer);
      authority.push(...part.authority);
      rcode = part.rcode;
      at = this.chases ? part.target : undefined;
    }
    const wanted = wantedWith(dnssecOk);
    return {
      rcode,
      answer: onceEach(answer.filter(wanted)),
      authority: onceEach(authority.filter(wanted)),
    };
  }

  /** The zone that has authority over an RRset: for DS, that above the cut. */
  #holder(name: NameKey, type: number): Zone {
    const start = type === Type.DS && this.#zones.has(name) ? parentOf(name) : name;
    for (let at = start; at !== undefined; at = parentOf(at)) {
      const zone = this.#zones.get(at);
      if (zone) return zone;
    }
    return this.#zone(name);
  }

  #above(name: NameKey): Zone | undefined {
    for (let at = parentOf(name); at !== undefined; at = parentOf(at)) {
      const zone = this.#zones.get(at);
      if (zone) return zone;
    }
    return undefined;
  }

  #zone(name: NameKey): Zone {
    const zone = this.#zones.get(name);
    if (!zone) throw new Error('no such zone in this world');
    return zone;
  }
}

/** DNSSEC's own records go only to those who ask for them. */
function wantedWith(dnssecOk: boolean): (record: ResourceRecord) => boolean {
  return (r) => dnssecOk || ![Type.RRSIG, Type.NSEC, Type.NSEC3].includes(r.type as 46);
}

function onceEach(records: readonly ResourceRecord[]): ResourceRecord[] {
  return [...new Map(records.map((r) => [`${r.type} ${r.owner} ${toLatin1(r.rdata)}`, r])).values()];
}

/** The reply with the letters of its question as they came, as servers give them back. */
export function withCaseOf(query: Uint8Array, reply: Uint8Array): Uint8Array {
  const end = query.indexOf(0, 12);
  // Another question than that is none to be made equal to it.
  const same = (i: number): boolean => ((query[i] ?? 0) ^ (reply[i] ?? 0)) === 0x20;
  for (let i = 12; i < end; i++) if (same(i)) reply[i] = query[i] ?? 0;
  return reply;
}

interface Part {
  readonly rcode: number;
  readonly answer: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly target?: NameKey;
}

interface Records {
  readonly ttl: number;
  readonly rdatas: Uint8Array[];
}

interface Denier {
  readonly owner: NameKey;
  readonly hash: Uint8Array;
  readonly rdata: Uint8Array;
}

class Zone {
  readonly name: NameKey;
  /** The first of its keys. */
  readonly key: SigningKey;
  readonly ds: readonly Uint8Array[];
  readonly servers: readonly string[];
  readonly #spec: ZoneSpec;
  readonly #keys: readonly { readonly spec: KeySpec; readonly key: SigningKey }[];
  readonly #sets = new Map<NameKey, Map<number, Records>>();
  /** Names of delegated zones; whether they are signed. */
  readonly #cuts = new Map<NameKey, boolean>();
  readonly #spoiled = new Map<string, Spoiled>();
  #spoiledAll: Spoiled | undefined;
  #signed = new Map<string, ResourceRecord[]>();
  #chain: Denier[] | undefined;

  constructor(spec: ZoneSpec) {
    this.#spec = spec;
    this.name = key(spec.name);
    this.servers = spec.servers ?? [];
    const only: KeySpec = { id: '', algorithm: spec.algorithm ?? Algorithm.ED25519, signs: 'all' };
    this.#keys = (spec.keys ?? [only]).map((k) => {
      const made = this.#keyFor(k);
      return { spec: k, key: k.revoked ? revokedKey(made) : made };
    });
    const [first] = this.#keys;
    if (!first) throw new Error(`${spec.name} has no key`);
    this.key = first.key;
    const inParent = this.#keys.filter((k) => k.spec.inParent ?? ['keys', 'all'].includes(k.spec.signs));
    this.ds = spec.signed ? inParent.flatMap(({ key: k }) => this.#dsOf(k)) : [];
    const server = wire(spec.name === '.' ? 'ns' : `ns.${spec.name}`);
    const minimum = encoded((w) => {
      for (const n of [1, 7200, 900, 1_209_600, spec.minimum ?? 300]) w.u32(n);
    });
    this.add(this.name, Type.SOA, concatOctets(server, server, minimum));
    this.add(this.name, Type.NS, server);
    if (spec.signed) {
      for (const { key: k, spec: keySpec } of this.#keys)
        if (!keySpec.unpublished) this.add(this.name, Type.DNSKEY, k.rdata);
    }
    const host = decoded(server, readPlainName);
    for (const text of this.servers) {
      const octets = address(text);
      if (host.ok) this.add(host.value, octets.length === 4 ? Type.A : Type.AAAA, octets);
    }
  }

  /** DS of the key without its REVOKE bit. */
  readonly dsOfKey = (id: string): Uint8Array[] => {
    const spec = this.#keys.find((k) => k.spec.id === id)?.spec;
    if (!spec) throw new Error(`${this.#spec.name} has no key ${id}`);
    return this.#dsOf(this.#keyFor(spec));
  };

  #keyFor({ id, algorithm, flags, protocol }: KeySpec): SigningKey {
    const { name, keyFlags, keyProtocol } = this.#spec;
    const text = `${name}${id === '' ? '' : `#${id}`}`;
    return signingKey(text, algorithm, flags ?? keyFlags, protocol ?? keyProtocol);
  }

  #dsOf(signing: SigningKey): Uint8Array[] {
    return (this.#spec.digests ?? [Digest.SHA256]).map((digest) =>
      dsRdata(signing, digest, dsDigest(digest, this.name, signing.rdata) ?? new Uint8Array(20)),
    );
  }

  get isUndelegated(): boolean {
    return this.#spec.undelegated ?? false;
  }

  get dnskeys(): readonly Uint8Array[] {
    return this.#sets.get(this.name)?.get(Type.DNSKEY)?.rdatas ?? [];
  }

  get nameServers(): readonly Uint8Array[] {
    return this.#sets.get(this.name)?.get(Type.NS)?.rdatas ?? [];
  }

  /** The highest delegation at or above `name`; of a DS the delegation itself is not below it. */
  cutAbove(name: NameKey, type: number): NameKey | undefined {
    for (let labels = labelCount(this.name) + 1; labels <= labelCount(name); labels++) {
      const at = ancestorOf(name, labels);
      if (at === name && type === Type.DS) return undefined;
      if (this.#sets.get(at)?.has(Type.NS)) return at;
    }
    return undefined;
  }

  /** NS of a delegation, with its DS or the proof that there is none (RFC 4035 §3.1.4). */
  referral(cut: NameKey): ResourceRecord[] {
    const ds = this.#records(cut, Type.DS, cut);
    const proof = ds.length > 0 ? ds : this.#noData(cut);
    return [...this.#records(cut, Type.NS, cut), ...proof];
  }

  delegate(child: Zone): void {
    this.#cuts.set(child.name, child.ds.length > 0);
    for (const server of child.nameServers) this.add(child.name, Type.NS, server);
    for (const ds of child.ds) this.add(child.name, Type.DS, ds);
  }

  add(owner: NameKey, type: number, rdata: Uint8Array, ttl = this.#spec.ttl ?? 3600): void {
    const types = this.#sets.get(owner) ?? new Map<number, Records>();
    const records = types.get(type) ?? { ttl, rdatas: [] };
    records.rdatas.push(rdata);
    types.set(type, records);
    this.#sets.set(owner, types);
    this.#changed();
  }

  remove(owner: NameKey, type: number): void {
    const types = this.#sets.get(owner);
    types?.delete(type);
    if (types?.size === 0) this.#sets.delete(owner);
    this.#changed();
  }

  spoil(owner: NameKey, type: number, how: Spoiled): void {
    this.#spoiled.set(`${type} ${owner}`, how);
    this.#changed();
  }

  spoilAll(how: Spoiled): void {
    this.#spoiledAll = how;
    this.#changed();
  }

  answer(name: NameKey, type: number): Part {
    const dname = [...this.#sets.keys()].find(
      (owner) => owner !== name && isBelow(name, owner) && this.#sets.get(owner)?.has(Type.DNAME),
    );
    if (dname !== undefined) return this.#viaDname(name, dname);
    const own = this.#sets.get(name);
    if (own) return this.#at(name, name, own, type, []);
    if (this.#exists(name)) return this.#negative(Rcode.NOERROR, this.#noData(name));
    const encloser = this.#encloser(name);
    const wildcard = wildcardOf(encloser);
    const source = wildcard === undefined ? undefined : this.#sets.get(wildcard);
    if (wildcard !== undefined && source) {
      return this.#at(name, wildcard, source, type, this.#absent(name, encloser));
    }
    if (this.#spec.compact) return this.#negative(Rcode.NOERROR, this.#compactly(name, [nxname]));
    const proof = [
      ...this.#absent(name, encloser, true),
      ...(wildcard === undefined ? [] : this.denying(wildcard)),
    ];
    return this.#negative(Rcode.NXDOMAIN, proof);
  }

  #viaDname(name: NameKey, dname: NameKey): Part {
    const rdata = this.#sets.get(dname)?.get(Type.DNAME)?.rdatas[0] ?? new Uint8Array();
    const to = targetOf(rdata);
    const target = rebased(name, dname, to);
    const records = this.#records(dname, Type.DNAME, dname);
    if (target === undefined) return { rcode: Rcode.YXDOMAIN, answer: records, authority: [] };
    const cname = { owner: name, type: Type.CNAME, class: Class.IN, ttl: 3600, rdata: octetsOfName(target) };
    return { rcode: Rcode.NOERROR, answer: [...records, cname], authority: [], target };
  }

  #at(
    name: NameKey,
    source: NameKey,
    types: ReadonlyMap<number, Records>,
    type: number,
    proof: ResourceRecord[],
  ): Part {
    const wanted = type === Type.ANY ? [...types.keys()] : types.has(type) ? [type] : [];
    if (wanted.length > 0) {
      const answer = wanted.flatMap((t) => this.#records(source, t, name));
      return { rcode: Rcode.NOERROR, answer, authority: proof };
    }
    const cname = types.get(Type.CNAME)?.rdatas[0];
    if (cname) {
      const answer = this.#records(source, Type.CNAME, name);
      return { rcode: Rcode.NOERROR, answer, authority: proof, target: targetOf(cname) };
    }
    if (name === source) return this.#negative(Rcode.NOERROR, this.#noData(name));
    const encloser = parentOf(source) ?? this.name;
    return this.#negative(Rcode.NOERROR, [...this.#absent(name, encloser, true), ...this.denying(source)]);
  }

  #negative(rcode: number, proof: readonly ResourceRecord[]): Part {
    const soa = this.#records(this.name, Type.SOA, this.name);
    return { rcode, answer: [], authority: [...soa, ...proof] };
  }

  /** An RRset with its signature, as owned by `name`. */
  #records(source: NameKey, type: number, name: NameKey): ResourceRecord[] {
    const records = this.#sets.get(source)?.get(type);
    if (!records) return [];
    return this.#sign(source, type, records).map((r) => ({ ...r, owner: name }));
  }

  #sign(owner: NameKey, type: number, { ttl, rdatas }: Records): ResourceRecord[] {
    const cacheKey = `${type} ${owner}`;
    const known = this.#signed.get(cacheKey);
    if (known) return known;
    const record = (t: number, rdata: Uint8Array): ResourceRecord => ({
      owner,
      type: t,
      class: Class.IN,
      ttl,
      rdata,
    });
    const signed = rdatas.map((rdata) => record(type, rdata));
    for (const rdata of this.#signatures(owner, type, ttl, rdatas)) signed.push(record(Type.RRSIG, rdata));
    this.#signed.set(cacheKey, signed);
    return signed;
  }

  #signatures(owner: NameKey, type: number, ttl: number, rdatas: readonly Uint8Array[]): Uint8Array[] {
    // A parent does not sign the NS of a delegation (RFC 4035 §2.2).
    if (!this.#spec.signed || (type === Type.NS && owner !== this.name)) return [];
    const spoiled = this.#spoiled.get(`${type} ${owner}`) ?? this.#spoiledAll;
    return this.#keys.flatMap(({ key: by, spec }) => {
      if (spec.signs !== 'all' && spec.signs !== (type === Type.DNSKEY ? 'keys' : 'rest')) return [];
      const how = spoiled?.onlyKey === undefined || spoiled.onlyKey === spec.id ? spoiled : undefined;
      if (how?.missing) return [];
      const good = this.#rrsig(owner, type, ttl, rdatas, how ?? {}, by);
      const forged = Array.from({ length: how?.forged ?? 0 }, (_, i) =>
        good.with(-1, (good.at(-1) ?? 0) ^ 1 ^ (i << 1)),
      );
      return [...forged, good];
    });
  }

  #rrsig(
    owner: NameKey,
    type: number,
    ttl: number,
    rdatas: readonly Uint8Array[],
    how: Spoiled,
    by: SigningKey,
  ): Uint8Array {
    const signer = how.signer === undefined ? this.name : key(how.signer);
    const labels = how.labels ?? ownerLabels(owner);
    const originalTtl = how.originalTtl ?? ttl;
    const fixed = encoded((w) => {
      w.u16(how.typeCovered ?? type);
      w.u8(how.algorithm ?? by.algorithm);
      w.u8(labels);
      w.u32(originalTtl);
      w.u32((how.expiration ?? monthAfter) >>> 0);
      w.u32((how.inception ?? dayBefore) >>> 0);
      w.u16(how.keyTag ?? by.tag);
    });
    const set = { owner, type, class: Class.IN, ttl, rdatas: canonicalRdatas(type, rdatas), signatures: [] };
    const data = signedOctets(set, { fixed, signer, labels, originalTtl });
    const maker = how.keyOf === undefined ? by : signingKey(how.keyOf, by.algorithm);
    const signature = maker.sign(data).slice();
    if (how.flipped) signature[9] = (signature[9] ?? 0) ^ 1;
    return concatOctets(fixed, octetsOfName(signer), signature);
  }

  signed(owner: NameKey, type: number, rdatas: readonly Uint8Array[]): ResourceRecord[] {
    const ttl = 300;
    const record = (t: number, rdata: Uint8Array): ResourceRecord => ({
      owner,
      type: t,
      class: Class.IN,
      ttl,
      rdata,
    });
    const signature = this.#rrsig(owner, type, ttl, rdatas, {}, this.key);
    return [...rdatas.map((rdata) => record(type, rdata)), record(Type.RRSIG, signature)];
  }

  /** `name` has records or is an empty non-terminal. */
  #exists(name: NameKey): boolean {
    return name === this.name || [...this.#sets.keys()].some((owner) => isBelow(owner, name));
  }

  #encloser(name: NameKey): NameKey {
    let at = name;
    while (!this.#exists(at)) at = parentOf(at) ?? this.name;
    return at;
  }

  #noData(name: NameKey): ResourceRecord[] {
    if (this.#spec.compact) return this.#compactly(name, this.#typesAt(name));
    const records = this.denying(name);
    // An unsigned delegation that opt-out left out, or an empty non-terminal that led to one (RFC 5155 §7.2.4).
    if (
      this.#spec.denial !== 'NSEC3' ||
      this.#chainOf().some((d) => this.#hash(name) === toBase32Hex(d.hash))
    )
      return records;
    let encloser = parentOf(name) ?? this.name;
    while (!this.#chainOf().some((d) => this.#hash(encloser) === toBase32Hex(d.hash)))
      encloser = parentOf(encloser) ?? this.name;
    return this.#absent(name, encloser, true);
  }

  /** Denies the next closer name; with `match` the closest encloser is shown as well, where NSEC3 wants that. */
  #absent(name: NameKey, encloser: NameKey, match = false): ResourceRecord[] {
    if (this.#spec.denial !== 'NSEC3') return this.denying(name);
    const nextCloser = ancestorOf(name, labelCount(encloser) + 1);
    return [...(match ? this.denying(encloser) : []), ...this.denying(nextCloser)];
  }

  /** The NSEC or NSEC3 that matches `name` or spans it. */
  denying(name: NameKey): ResourceRecord[] {
    if (!this.#spec.signed) return [];
    const chain = this.#chainOf();
    const position = this.#spec.denial === 'NSEC3' ? this.#hashOctets(name) : undefined;
    const before = chain.filter((d) =>
      position ? compareOctets(d.hash, position) <= 0 : compareNames(d.owner, name) <= 0,
    );
    const denier = before.at(-1) ?? chain.at(-1);
    if (!denier) return [];
    if (position && this.#spec.narrow && compareOctets(denier.hash, position) !== 0) {
      const [owner, next] = [counted(position, -1), counted(position, 1)];
      const rdata = this.#nsec3Rdata(next, []);
      return this.#sign(this.#hashOwner(owner), Type.NSEC3, {
        ttl: this.#spec.minimum ?? 300,
        rdatas: [rdata],
      });
    }
    const type = this.#spec.denial === 'NSEC3' ? Type.NSEC3 : Type.NSEC;
    return this.#sign(denier.owner, type, { ttl: this.#spec.minimum ?? 300, rdatas: [denier.rdata] });
  }

  #chainOf(): Denier[] {
    this.#chain ??= this.#spec.denial === 'NSEC3' ? this.#nsec3Chain() : this.#nsecChain();
    return this.#chain;
  }

  #nsecChain(): Denier[] {
    const owners = [...this.#sets.keys()].sort(compareNames);
    return owners.map((owner, i) => {
      const types = [...this.#typesAt(owner), Type.RRSIG, Type.NSEC];
      const next = owners[(i + 1) % owners.length] ?? owner;
      const rdata = encoded((w) => {
        w.octets(octetsOfName(next));
        writeTypeBitmap(w, types);
      });
      return { owner, hash: new Uint8Array(), rdata };
    });
  }

  #nsec3Chain(): Denier[] {
    const names = new Set<NameKey>([this.name]);
    for (const owner of this.#sets.keys()) {
      if (this.#spec.optOut && this.#cuts.get(owner) === false) continue;
      for (let at = owner; at !== this.name; at = parentOf(at) ?? this.name) names.add(at);
    }
    const hashed = [...names]
      .map((name) => ({ name, hash: this.#hashOctets(name) }))
      .sort((a, b) => compareOctets(a.hash, b.hash));
    return hashed.map(({ name, hash }, i) => {
      const types = this.#typesAt(name);
      const signs = types.some((t) => t !== Type.NS) || name === this.name;
      const next = hashed[(i + 1) % hashed.length]?.hash ?? hash;
      const rdata = this.#nsec3Rdata(next, signs ? [...types, Type.RRSIG] : types);
      return { owner: this.#hashOwner(hash), hash, rdata };
    });
  }

  #nsec3Rdata(next: Uint8Array, types: readonly number[]): Uint8Array {
    const salt = this.#salt();
    return encoded((w) => {
      w.u8(1);
      w.u8(this.#spec.optOut ? 1 : 0);
      w.u16(this.#spec.iterations ?? 0);
      w.u8(salt.length);
      w.octets(salt);
      w.u8(next.length);
      w.octets(next);
      writeTypeBitmap(w, types);
    });
  }

  #hashOwner(hash: Uint8Array): NameKey {
    return nameOfLabels([toBase32Hex(hash), ...labelsOf(this.name)]) ?? this.name;
  }

  /** An NSEC at the very name, whatever it is (RFC 9824 §3). */
  #compactly(name: NameKey, types: readonly number[]): ResourceRecord[] {
    if (!this.#spec.signed) return [];
    const next = nameOfLabels(['\0', ...labelsOf(name)]) ?? this.name;
    const rdata = encoded((w) => {
      w.octets(octetsOfName(next));
      writeTypeBitmap(w, [...types, Type.RRSIG, Type.NSEC]);
    });
    return this.#sign(name, Type.NSEC, { ttl: this.#spec.minimum ?? 300, rdatas: [rdata] });
  }

  #typesAt(name: NameKey): number[] {
    return [...(this.#sets.get(name)?.keys() ?? [])];
  }

  #salt(): Uint8Array {
    return this.#spec.salt ?? new Uint8Array();
  }

  #hashOctets(name: NameKey): Uint8Array {
    return nsec3Hash(name, this.#salt(), this.#spec.iterations ?? 0);
  }

  #hash(name: NameKey): string {
    return toBase32Hex(this.#hashOctets(name));
  }

  #changed(): void {
    this.#signed = new Map();
    this.#chain = undefined;
  }
}

/** The type that stands where there is no such name (RFC 9824 §2). */
const nxname = 128;

/** `octets` as a number, one more or less. */
function counted(octets: Uint8Array, by: 1 | -1): Uint8Array {
  const other = octets.slice();
  for (let i = other.length - 1; i >= 0; i--) {
    const was = other[i] ?? 0;
    other[i] = was + by;
    if (was !== (by > 0 ? 255 : 0)) break;
  }
  return other;
}

function targetOf(rdata: Uint8Array): NameKey {
  const target = decoded(rdata, readPlainName);
  if (!target.ok) throw target.error;
  return target.value;
}

/** A name of the test, which has to be one. */
export function key(text: string): NameKey {
  const name = nameOf(text);
  if (name === undefined) throw new Error(`not a name: ${text}`);
  return name;
}

/** RDATA of CNAME, DNAME, NS and PTR: the name. */
export function wire(name: string): Uint8Array {
  return octetsOfName(key(name));
}

/** RDATA of A or AAAA. */
export function address(text: string): Uint8Array {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed.octets;
}

/** RDATA of TXT. */
export function txt(text: string): Uint8Array {
  return concatOctets(new Uint8Array([text.length]), fromLatin1(text));
}

/** RDATA of an IPSECKEY with an Ed25519 key and no gateway (RFC 4025 §2, RFC 9373). */
export function ipseckey(fill = 7): Uint8Array {
  return concatOctets(new Uint8Array([10, 0, 4]), new Uint8Array(32).fill(fill));
}
