/**
 * By what ours is recognised in the kernel, after a crash too. 0x6f65 is "oe".
 *
 * States and templates carry a reqid of the band 0x6f650000–0x6f65ffff: one per pair of addresses, so that an
 * inbound policy accepts no other pair's SA. The first one marks reserved SPIs.
 *
 * Policies carry a priority of the same band. A lower number decides, and what administrators and other
 * daemons install lies far below (`ip xfrm policy`: 0; strongSwan: about 370,000; libreswan: about 2,800,000),
 * so that their word stands above ours.
 */
export const bandFirst = 0x6f65_0000;
export const bandLast = 0x6f65_ffff;

/** The reqid of reserved SPIs. */
export const larvalReqid = bandFirst;

/** Our policies among themselves; a rank of 0–0xfff is added. */
export const Priority = {
  /** Never protected: neighbour discovery, resolvers, exempt addresses. */
  bypass: 0x6f65_0000,
  /** Protected by an SA that stands. */
  protect: 0x6f65_1000,
  /** Nothing passes: below an SA's policy, so that a `private` peer has no moment in the clear. */
  block: 0x6f65_2000,
} as const;

/** Ranks within one band of {@link Priority}. */
export const rankLast = 0xfff;

/**
 * The bits of packets' marks that tell hosts behind one NAT apart, where that is wanted: 1 to 255 for each address
 * that the NAT shows.
 */
export const hostMark = { mask: 0x00ff_0000, shift: 16, last: 0xff } as const;

export function isOurs(reqidOrPriority: number): boolean {
  return reqidOrPriority >= bandFirst && reqidOrPriority <= bandLast;
}
