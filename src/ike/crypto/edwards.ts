/**
 * Checks of EdDSA public keys that OpenSSL does not make: with a point of small order a "signature" verifies for
 * many messages. Only public values pass through here, so variable time is no matter.
 */

interface Curve {
  readonly octets: number;
  readonly p: bigint;
  /** Whether the equation holds for some x, given y² (RFC 8032 §5.1.3, §5.2.3). */
  readonly hasX: (ySquared: bigint) => boolean;
  /** The y coordinates of all points whose order divides the cofactor. */
  readonly smallOrderY: readonly bigint[];
}

/** Why the octets are no acceptable public key, as a clause; undefined when they are one. */
export function edwardsFault(name: 'Ed25519' | 'Ed448', octets: Uint8Array): string | undefined {
  const curve = curves[name];
  if (octets.length !== curve.octets) return `the key has ${octets.length} octets, not ${curve.octets}`;
  const encoded = octets.slice().reverse();
  encoded[0] = (encoded[0] ?? 0) & 0x7f;
  const y = BigInt(`0x${encoded.toHex()}`);
  if (y >= curve.p) return 'the point is not in its one encoding';
  if (curve.smallOrderY.includes(y)) return 'the point is of small order';
  return curve.hasX((y * y) % curve.p) ? undefined : 'the point is not on its curve';
}

const p25519 = 2n ** 255n - 19n;
const d25519 = mod(-121_665n * inverse(121_666n, p25519), p25519);
/** y of a point of order 8,. */
const y8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
const p448 = 2n ** 448n - 2n ** 224n - 1n;
const d448 = -39_081n;

const curves: Readonly<Record<'Ed25519' | 'Ed448', Curve>> = {
  // -x² + y² = 1 + d x² y², so x² = (y² - 1) / (d y² + 1)
  Ed25519: {
    octets: 32,
    p: p25519,
    hasX: (yy) => isSquareRatio(yy - 1n, d25519 * yy + 1n, p25519),
    smallOrderY: [0n, 1n, p25519 - 1n, y8, p25519 - y8],
  },
  // x² + y² = 1 + d x² y², so x² = (y² - 1) / (d y² - 1)
  Ed448: {
    octets: 57,
    p: p448,
    hasX: (yy) => isSquareRatio(yy - 1n, d448 * yy - 1n, p448),
    smallOrderY: [0n, 1n, p448 - 1n],
  },
};

/** Whether u/v is a square modulo p; as u/v = uv/v², that is whether uv is one (Euler's criterion). */
function isSquareRatio(u: bigint, v: bigint, p: bigint): boolean {
  const symbol = power(mod(u * v, p), (p - 1n) / 2n, p);
  return symbol === 0n || symbol === 1n;
}

function power(base: bigint, exponent: bigint, p: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % p;
    square = (square * square) % p;
  }
  return result;
}

function inverse(a: bigint, p: bigint): bigint {
  return power(a, p - 2n, p);
}

function mod(a: bigint, p: bigint): bigint {
  const r = a % p;
  return r < 0n ? r + p : r;
}
