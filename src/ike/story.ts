import { TransformType } from './numbers.ts';
import { describeEspSuite } from './proposals.ts';
import type { Proposal } from './sa-payload.ts';

/** The ciphers of an offer in its order: `AES-GCM-16-256, AES-GCM-16-128, ChaCha20-Poly1305`. */
export function describeOffer(proposals: readonly Proposal[]): string {
  const names = proposals.flatMap((p) =>
    p.transforms
      .filter((t) => t.type === TransformType.ENCR)
      .map((t) => describeEspSuite({ encr: t.id, keyBits: t.keyBits ?? 256 })),
  );
  return [...new Set(names)].join(', ');
}
