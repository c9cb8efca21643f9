const digits = '0123456789abcdefghijklmnopqrstuv';

/** Base 32 with the extended hex alphabet, lower case, no padding (RFC 4648 §7), as NSEC3 owners have it. */
export function toBase32Hex(octets: Uint8Array): string {
  let text = '';
  let bits = 0;
  let pending = 0;
  for (const octet of octets) {
    bits = (bits << 8) | octet;
    for (pending += 8; pending >= 5;) {
      pending -= 5;
      text += digits.charAt((bits >> pending) & 31);
    }
    bits &= (1 << pending) - 1;
  }
  return pending === 0 ? text : text + digits.charAt((bits << (5 - pending)) & 31);
}

/** The inverse, in any case of letters; undefined for other characters and for bits left over that are not zero. */
export function fromBase32Hex(text: string): Uint8Array | undefined {
  const octets = new Uint8Array(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let pending = 0;
  let at = 0;
  for (const character of text.toLowerCase()) {
    const digit = digits.indexOf(character);
    if (digit < 0) return undefined;
    bits = (bits << 5) | digit;
    pending += 5;
    if (pending >= 8) {
      pending -= 8;
      octets[at++] = (bits >> pending) & 0xff;
      bits &= (1 << pending) - 1;
    }
  }
  return pending >= 5 || bits !== 0 ? undefined : octets;
}
