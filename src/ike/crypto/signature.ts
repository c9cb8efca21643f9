import type { KeyObject } from 'node:crypto';

/** A private key as `node:crypto` holds it; it never prints. */
export type PrivateKey = KeyObject;
