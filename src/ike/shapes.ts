import { isErrorNotify } from './numbers.ts';
import type { InnerPayload, NotifyPayload, Payload } from './payloads.ts';

export type Kind = Exclude<
  InnerPayload['kind'],
  'Notify' | 'Delete' | 'Vendor' | 'CERT' | 'CERTREQ' | 'Unknown'
>;

/**
 * Which payloads a message must and may have once (RFC 7296 §1.2, §1.3, appendix C). Notifications, certificates and
 * what we do not know may stand in every message as often as the peer likes.
 */
export interface Shape {
  /** In words, for logs and docs/STATES.md. */
  readonly story: string;
  readonly once: readonly Kind[];
  readonly atMostOnce: readonly Kind[];
}

export const shapes = {
  saInit: { story: 'IKE_SA_INIT', once: ['SA', 'KE', 'Nonce'], atMostOnce: [] },
  intermediate: { story: 'IKE_INTERMEDIATE', once: ['KE'], atMostOnce: [] },
  authRequest: {
    story: 'IKE_AUTH request',
    once: ['IDi', 'AUTH'],
    atMostOnce: ['IDr', 'SA', 'TSi', 'TSr'],
  },
  authResponse: {
    story: 'IKE_AUTH response',
    once: ['IDr', 'AUTH'],
    atMostOnce: ['SA', 'TSi', 'TSr'],
  },
  createChild: {
    story: 'CREATE_CHILD_SA for a child',
    once: ['SA', 'Nonce', 'TSi', 'TSr'],
    atMostOnce: ['KE'],
  },
  followUp: { story: 'IKE_FOLLOWUP_KE', once: ['KE'], atMostOnce: [] },
  rekeyIke: { story: 'CREATE_CHILD_SA for the IKE SA', once: ['SA', 'Nonce', 'KE'], atMostOnce: [] },
} as const satisfies Record<string, Shape>;

/** The payload that can be of the kind; IDi and IDr are one type, as TSi and TSr are. */
type PayloadOf<K extends Kind, P = InnerPayload> = P extends { readonly kind: infer PK }
  ? K extends PK
    ? P
    : never
  : never;

/** The payloads of a message under their names. */
export type Taken<S extends Shape> = { readonly [K in S['once'][number]]: PayloadOf<K> } & {
  readonly [K in S['atMostOnce'][number]]: PayloadOf<K> | undefined;
};

/** Not ok where a payload is missing or doubled; `why` is a clause. */
export type Take<S extends Shape> =
  { readonly ok: true; readonly value: Taken<S> } | { readonly ok: false; readonly why: string };

export function take<const S extends Shape>(payloads: readonly Payload[], shape: S): Take<S> {
  const found = new Map<string, Payload>();
  const counted = new Set<string>([...shape.once, ...shape.atMostOnce]);
  for (const payload of payloads) {
    if (!counted.has(payload.kind)) continue;
    if (found.has(payload.kind)) return { ok: false, why: `two ${payload.kind} payloads in ${shape.story}` };
    found.set(payload.kind, payload);
  }
  const missing = shape.once.find((kind) => !found.has(kind));
  if (missing !== undefined) return { ok: false, why: `no ${missing} payload in ${shape.story}` };
  return { ok: true, value: Object.fromEntries(found) as unknown as Taken<S> };
}

/** The type of a payload that we do not know and may not skip (§2.5). */
export function unknownCritical(payloads: readonly Payload[]): number | undefined {
  return payloads.flatMap((p) => (p.kind === 'Unknown' && p.critical ? [p.type] : []))[0];
}

/** The first notification of the type. */
export function findNotify(payloads: readonly Payload[], type: number): NotifyPayload | undefined {
  return payloads.find((p): p is NotifyPayload => p.kind === 'Notify' && p.type === type);
}

/** The first notification that reports an error. */
export function firstError(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloads.find((p): p is NotifyPayload => p.kind === 'Notify' && isErrorNotify(p.type));
}
