import { formatEndpoint, type Endpoint, type IpAddress } from '../net/address.ts';
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
  /** How many of both there are from one network. */
  readonly #perNetwork = new Map<string, { all: number; open: number }>();

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
    if (!this.#hasRoom(remote.address)) return undefined;
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
        this.#count(answer.session, { all: 1, open: 1 });
        return answer.session;
      default:
        return answer satisfies never;
    }
  }

  /** IKE_AUTH is through, or will not be. */
  close(session: Session): void {
    if (this.#open.delete(session)) this.#count(session, { all: 0, open: -1 });
  }

  /** The session is over. */
  forget(session: Session): void {
    this.close(session);
    const key = this.#inits.get(session);
    if (key === undefined) return;
    this.#inits.delete(session);
    this.#byInit.delete(key);
    this.#count(session, { all: -1, open: 0 });
  }

  /** Who can use many addresses of one network gets no more than a share, and all others leave some for us. */
  #hasRoom(address: IpAddress): boolean {
    const { limits } = this.#host;
    const here = this.#perNetwork.get(networkOf(address));
    return (
      this.#open.size < limits.halfOpen &&
      this.#inits.size < limits.sessionsOfOthers &&
      (here === undefined || (here.open < limits.halfOpenPerNetwork && here.all < limits.sessionsPerNetwork))
    );
  }

  #count(session: Session, more: { readonly all: number; readonly open: number }): void {
    const network = networkOf(session.remote.address);
    const { all, open } = this.#perNetwork.get(network) ?? { all: 0, open: 0 };
    const now = { all: all + more.all, open: open + more.open };
    if (now.all === 0) this.#perNetwork.delete(network);
    else this.#perNetwork.set(network, now);
  }
}

/** The /64 or /24, which one host may well have for itself. */
export function networkOf({ family, octets }: IpAddress): string {
  return octets.subarray(0, family === 6 ? 8 : 3).join('.');
}

/** The same again is answered again (§2.1); anything else under this SPI is not from whom it was. */
function answerAgain(session: Session, message: Message): void {
  const { lastAnswer, phase } = session;
  const isSame = sameOctets(secretsOf(session)?.initI ?? new Uint8Array(0), message.octets);
  if (isSame && phase.phase === 'authAwaited' && lastAnswer?.messageId === 0) {
    transmit(session, lastAnswer.datagrams);
  }
}
