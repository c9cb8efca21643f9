import { formatEndpoint, type Endpoint } from '../net/address.ts';
import { sameOctets } from '../wire/octets.ts';
import { CookieJar } from './cookies.ts';
import { marked, transmit } from './exchange.ts';
import type { Message } from './message.ts';
import { NotifyType } from './numbers.ts';
import { onInitRequest } from './responder.ts';
import { secretsOf, type Host, type Session } from './session.ts';
import { findNotify } from './shapes.ts';

/**
 * The responder's IKE SAs that are not authenticated yet: how many there may be, when a cookie is wanted first
 * (RFC 7296 §2.6), and which of them a repeated IKE_SA_INIT belongs to.
 */
export class HalfOpen {
  readonly #host: Host;
  readonly #cookies: CookieJar;
  /** By what a repeated IKE_SA_INIT has in common with the first; until the IKE SA is over. */
  readonly #byInit = new Map<string, Session>();
  readonly #inits = new Map<Session, string>();
  readonly #open = new Set<Session>();

  constructor(host: Host) {
    this.#host = host;
    this.#cookies = new CookieJar(host.options.random);
  }

  get size(): number {
    return this.#open.size;
  }

  /** An IKE_SA_INIT request; a new session where there is to be one. */
  take(message: Message, local: Endpoint, remote: Endpoint): Session | undefined {
    const { limits, now, options } = this.#host;
    const { spiI } = message.header;
    const key = `${formatEndpoint(remote)} ${formatEndpoint(local)} ${spiI}`;
    const before = this.#byInit.get(key);
    if (before) {
      answerAgain(before, message);
      return undefined;
    }
    if (this.#open.size >= limits.halfOpen) return undefined;
    const nonceI = message.payloads.find((p) => p.kind === 'Nonce')?.nonce;
    if (!nonceI) return undefined;
    const subject = { address: remote.address, spiI, nonceI };
    const cookie = findNotify(message.payloads, NotifyType.COOKIE)?.data;
    const answer = onInitRequest(this.#host, message, local, remote, {
      ok: cookie !== undefined && this.#cookies.check(subject, cookie, now),
      wanted: this.#open.size >= limits.halfOpenCookies,
      make: () => this.#cookies.make(subject, now),
    });
    switch (answer.kind) {
      case 'drop':
        return undefined;
      case 'reply':
        this.#host.emit({ kind: 'send', local, remote, octets: marked(answer.octets, local, options.ports) });
        return undefined;
      case 'session':
        this.#byInit.set(key, answer.session);
        this.#inits.set(answer.session, key);
        this.#open.add(answer.session);
        return answer.session;
      default:
        return answer satisfies never;
    }
  }

  /** IKE_AUTH is through, or will not be. */
  close(session: Session): void {
    this.#open.delete(session);
  }

  /** The session is over. */
  forget(session: Session): void {
    this.#open.delete(session);
    const key = this.#inits.get(session);
    this.#inits.delete(session);
    if (key !== undefined) this.#byInit.delete(key);
  }
}

/** The same again is answered again (§2.1); anything else under this SPI is not from whom it was. */
function answerAgain(session: Session, message: Message): void {
  const { lastAnswer, phase } = session;
  const isSame = sameOctets(secretsOf(session)?.initI ?? new Uint8Array(0), message.octets);
  if (isSame && phase.phase === 'authAwaited' && lastAnswer?.messageId === 0) {
    transmit(session, lastAnswer.datagrams);
  }
}
