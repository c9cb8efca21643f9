/** A source of unpredictable octets; the edge gives the system's, simulations give a seeded one. */
export interface Random {
  /** `count` fresh octets, owned by the caller. */
  octets(count: number): Uint8Array;
}

/** A whole number in 0 … 2^32-1. */
export function randomU32(random: Random): number {
  const o = random.octets(4);
  return new DataView(o.buffer, o.byteOffset, 4).getUint32(0);
}

/** A number in [0, 1), for jitter. */
export function randomUnit(random: Random): number {
  return randomU32(random) / 0x1_0000_0000;
}
