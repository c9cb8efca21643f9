import type { Brand } from '../brand.ts';
import type { IpAddress } from '../net/address.ts';

/**
 * A domain name: its uncompressed wire octets (length-prefixed labels and the root's zero octet) as latin1 text,
 * ASCII letters in lower case (RFC 4343, RFC 4034 §6.2). Equality, hashing and Map keys need nothing else.
 * The root is `'\0'`.
 */
export type NameKey = Brand<string, 'NameKey'>;

/** Reads presentation form: `www.example.org`, with or without the last dot, with `\.` and `\DDD` (RFC 1035 §5.1). */
export declare function nameOf(text: string): NameKey | undefined;
/** Presentation form without the last dot; the root is `.`. */
export declare function nameText(name: NameKey): string;
/** `name` is `ancestor` or lies below it. */
export declare function isBelow(name: NameKey, ancestor: NameKey): boolean;
/** `10.2.18.198.in-addr.arpa` or the nibbles under ip6.arpa. */
export declare function reverseName(address: IpAddress): NameKey;
