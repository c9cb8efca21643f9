import { addressOf, type IpAddress } from '../net/address.ts';
import type { Decoded } from '../wire/error.ts';
import { fromLatin1, toLatin1, toUtf8 } from '../wire/octets.ts';
import { decoded, type Reader } from '../wire/reader.ts';
import { encoded, type Writer } from '../wire/writer.ts';
import { octetsOfName, readPlainName, type NameKey } from './name.ts';

/** Service parameter keys, IANA "dns-svcb". */
export const SvcParam = {
  MANDATORY: 0,
  ALPN: 1,
  NO_DEFAULT_ALPN: 2,
  PORT: 3,
  IPV4HINT: 4,
  ECH: 5,
  IPV6HINT: 6,
  DOHPATH: 7,
} as const;

/**
 * SVCB and HTTPS (RFC 9460 §2.2).
 *
 *     |  SvcPriority  |  TargetName  ~  SvcParams: | key | length | value ~ …
 */
export interface Svcb {
  /** 0: the name is an alias of `target`, and parameters mean nothing (§2.4.2); else the lowest comes first. */
  readonly priority: number;
  /** The root stands for the owner's name where the priority is not 0 (§2.5.2). */
  readonly target: NameKey;
  /** Keys without which the record must not be used (§8), {@link SvcParam.MANDATORY} not among them. */
  readonly mandatory: readonly number[];
  /** Protocol names as latin1 text: `h2`, `dot`. */
  readonly alpn: readonly string[];
  /** The protocol that the scheme has by itself is not offered (§7.1). */
  readonly noDefaultAlpn: boolean;
  readonly port: number | undefined;
  readonly ipv4hint: readonly IpAddress[];
  readonly ipv6hint: readonly IpAddress[];
  /** An ECHConfigList; owned. */
  readonly ech: Uint8Array | undefined;
  /** A URI template with the variable `dns` (RFC 9461 §5): `/dns-query{?dns}`. */
  readonly dohpath: string | undefined;
  /** Values of other keys, as they came; owned. */
  readonly others: ReadonlyMap<number, Uint8Array>;
}

/**
 * Reads the RDATA. Errors, each of which spoils the record (§2.2): keys that are not in strictly ascending order, a
 * value in another form than its key has, a mandatory key that is missing, a compressed target.
 */
export function decodeSvcb(rdata: Uint8Array): Decoded<Svcb> {
  return decoded(rdata, (r) => {
    const priority = r.u16();
    const target = readPlainName(r);
    const values = new Map<number, Reader>();
    for (let last = -1; r.remaining > 0;) {
      const key = r.u16();
      if (key <= last) r.fail(`parameter ${key} after ${last}`);
      if (key === 0xffff) r.fail('the parameter key that is never valid'); // §14.3.2
      values.set(key, r.sub(r.u16()));
      last = key;
    }
    return { priority, target, ...readParams(values, r) };
  });
}

/** RDATA; `others` must not hold keys that have a field of their own. */
export function encodeSvcb(record: Svcb): Uint8Array {
  const { mandatory, alpn, noDefaultAlpn, port, ipv4hint, ipv6hint, ech, dohpath } = record;
  const values = new Map<number, Uint8Array>(record.others);
  const put = (key: number, isThere: boolean, write: (w: Writer) => void): void => {
    if (isThere) values.set(key, encoded(write));
  };
  put(SvcParam.MANDATORY, mandatory.length > 0, (w) => {
    for (const key of [...mandatory].sort((a, b) => a - b)) w.u16(key);
  });
  put(SvcParam.ALPN, alpn.length > 0, (w) => {
    for (const name of alpn) {
      w.u8(name.length);
      w.octets(fromLatin1(name));
    }
  });
  put(SvcParam.NO_DEFAULT_ALPN, noDefaultAlpn, () => undefined);
  put(SvcParam.PORT, port !== undefined, (w) => {
    w.u16(port ?? 0);
  });
  put(SvcParam.IPV4HINT, ipv4hint.length > 0, (w) => {
    for (const { octets } of ipv4hint) w.octets(octets);
  });
  put(SvcParam.ECH, ech !== undefined, (w) => {
    if (ech) w.octets(ech);
  });
  put(SvcParam.IPV6HINT, ipv6hint.length > 0, (w) => {
    for (const { octets } of ipv6hint) {
      if (octets.length === 4) w.octets(mappedPrefix);
      w.octets(octets);
    }
  });
  put(SvcParam.DOHPATH, dohpath !== undefined, (w) => {
    w.octets(toUtf8(dohpath ?? ''));
  });
  return encoded((w) => {
    w.u16(record.priority);
    w.octets(octetsOfName(record.target));
    for (const [key, value] of [...values].sort(([a], [b]) => a - b)) {
      w.u16(key);
      w.lengthPrefixed16(() => {
        w.octets(value);
      });
    }
  });
}

/** Of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). */
const mappedPrefix = new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);

/** Nothing that one must know to use the record is unknown to one who knows `keys` (§8). */
export function isUsable(record: Svcb, keys: readonly number[]): boolean {
  return record.mandatory.every((key) => keys.includes(key));
}

type Params = Omit<Svcb, 'priority' | 'target'>;

function readParams(values: Map<number, Reader>, whole: Reader): Params {
  const take = <T>(key: number, read: (r: Reader) => T): T | undefined => {
    const r = values.get(key);
    if (!r) return undefined;
    const value = read(r);
    r.done();
    return value;
  };
  const present = new Set(values.keys());
  const mandatory = take(SvcParam.MANDATORY, readMandatory) ?? [];
  const missing = mandatory.find((key) => !present.has(key));
  if (missing !== undefined) whole.fail(`parameter ${missing} is mandatory and missing`);
  const alpn = take(SvcParam.ALPN, readAlpn) ?? [];
  const noDefaultAlpn = take(SvcParam.NO_DEFAULT_ALPN, () => true) ?? false;
  if (noDefaultAlpn && alpn.length === 0) whole.fail('no protocol is left'); // §7.1.1
  const others = new Map<number, Uint8Array>();
  for (const [key, r] of values) if (!ownFields.has(key)) others.set(key, new Uint8Array(r.rest()));
  return {
    mandatory,
    alpn,
    noDefaultAlpn,
    port: take(SvcParam.PORT, (r) => r.u16()),
    ipv4hint: take(SvcParam.IPV4HINT, (r) => readHints(r, 4)) ?? [],
    ipv6hint: take(SvcParam.IPV6HINT, (r) => readHints(r, 16)) ?? [],
    ech: take(SvcParam.ECH, (r) => new Uint8Array(r.rest())),
    dohpath: take(SvcParam.DOHPATH, readDohpath),
    others,
  };
}

const ownFields = new Set<number>(Object.values(SvcParam));

/** §8: at least one key, in strictly ascending order, itself not among them. */
function readMandatory(r: Reader): number[] {
  const keys: number[] = [];
  do {
    const key = r.u16();
    if (key <= (keys.at(-1) ?? SvcParam.MANDATORY)) r.fail(`mandatory key ${key} out of order`);
    keys.push(key);
  } while (r.remaining > 0);
  return keys;
}

/** §7.1.1: at least one name, none of them empty. */
function readAlpn(r: Reader): string[] {
  const names: string[] = [];
  do {
    const name = toLatin1(r.octets(r.u8()));
    if (name === '') r.fail('an empty protocol name');
    names.push(name);
  } while (r.remaining > 0);
  return names;
}

/** §7.3: at least one address. An IPv4-mapped one becomes IPv4. */
function readHints(r: Reader, octets: number): IpAddress[] {
  const addresses: IpAddress[] = [];
  do {
    const address = addressOf(r.octets(octets));
    if (address) addresses.push(address);
  } while (r.remaining > 0);
  return addresses;
}

/** RFC 9461 §5: UTF-8, relative, and with the variable that the query goes into. */
function readDohpath(r: Reader): string {
  let path: string;
  try {
    path = new TextDecoder('utf-8', { fatal: true }).decode(r.rest());
  } catch {
    r.fail('a path that is not UTF-8');
  }
  if (!/^\/[!-~]*\{\?(?:[\w,]*,)?dns(?:,[\w,]*)?\}/.test(path)) r.fail('a path without the variable dns');
  return path;
}
