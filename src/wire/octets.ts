/** `a` and `b` hold the same octets. Not constant-time: never for secrets. */
export function sameOctets(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Order of unsigned octets, the shorter first where one is the beginning of the other. */
export function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const d = (a[i] ?? 0) - (b[i] ?? 0);
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

export function concatOctets(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export function toHex(octets: Uint8Array): string {
  return octets.toHex();
}

/** Throws SyntaxError where `text` is not an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.fromHex(text);
}

export function toBase64(octets: Uint8Array): string {
  return octets.toBase64();
}

/** White space is skipped. Throws SyntaxError where `text` is not base64. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.fromBase64(text);
}

const utf8 = new TextEncoder();

export function toUtf8(text: string): Uint8Array {
  return utf8.encode(text);
}

/** Each octet as the character of the same number; the inverse is {@link fromLatin1}. */
export function toLatin1(octets: Uint8Array): string {
  let text = '';
  for (const octet of octets) text += String.fromCharCode(octet);
  return text;
}

export function fromLatin1(text: string): Uint8Array {
  const octets = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) octets[i] = text.charCodeAt(i);
  return octets;
}
