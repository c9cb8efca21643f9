import type { RRset } from '../rrset.ts';

/** What the octets of one more record cost beside themselves: an array of octets is an object with a buffer. */
const perRecord = 200;
/** The object of an RRset with its lists. */
const perSet = 250;

/** About the memory of RRsets: a few large ones take as much as hundreds of ordinary ones. */
export function octetsOfSets(sets: readonly RRset[]): number {
  let octets = 0;
  for (const { rdatas, signatures } of sets) {
    octets += perSet;
    for (const rdata of rdatas) octets += perRecord + rdata.length;
    for (const signature of signatures) octets += perRecord + signature.length;
  }
  return octets;
}
