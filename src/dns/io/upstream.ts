import type { Server } from '../finder.ts';
import { StreamCarrier, type StreamLimits } from './upstream-stream.ts';
import { HttpsCarrier, type HttpsLimits } from './upstream-https.ts';
import { UdpCarrier, type UdpLimits } from './upstream-udp.ts';
import { TlsTrust } from './tls-trust.ts';
import type { Ask, Carrier, UpstreamEvents } from './upstream-events.ts';

/** What {@link Upstreams} can be told. */
export interface UpstreamOptions {
  /** Certificates in PEM of authorities that are trusted beside the system's. */
  readonly authorities?: readonly string[];
  readonly udp?: Partial<UdpLimits>;
  readonly stream?: Partial<StreamLimits>;
  readonly https?: Partial<HttpsLimits>;
}

/** Sends queries to servers over whatever they are reached by. Timeouts are the resolver's: an ask lives until it is released. */
export class Upstreams {
  readonly #trust: TlsTrust;
  readonly #udp: Carrier;
  readonly #stream: Carrier;
  readonly #https: HttpsCarrier;

  constructor(events: UpstreamEvents, options: UpstreamOptions = {}) {
    this.#trust = new TlsTrust(options.authorities ?? []);
    this.#udp = new UdpCarrier(events, options.udp);
    this.#stream = new StreamCarrier(events, this.#trust, options.stream);
    this.#https = new HttpsCarrier(events, this.#trust, options.https);
  }

  /** Loads what asking `servers` wants, so that their first questions do not wait for it. */
  async prepare(servers: readonly Server[]): Promise<void> {
    if (servers.some((s) => s.authName !== undefined && s.transport !== 'udp' && s.transport !== 'tcp'))
      this.#trust.prepare();
    if (servers.some((s) => s.transport === 'https')) await this.#https.prepare();
  }

  ask(ask: Ask): void {
    switch (ask.server.transport) {
      case 'udp':
        this.#udp.ask(ask);
        return;
      case 'tcp':
      case 'tls':
        this.#stream.ask(ask);
        return;
      case 'https':
        this.#https.ask(ask);
        return;
      default:
        ask.server.transport satisfies never;
    }
  }

  /**
   * Ends the ask: nothing more is reported for it. `keepMs`: how long its server lets the connection stand idle, where
   * it said so (RFC 7828 §3.2.2).
   */
  release(ask: number, keepMs?: number): void {
    void (this.#udp.release(ask, keepMs) || this.#stream.release(ask, keepMs) || this.#https.release(ask));
  }

  /** The host's addresses are others now: sockets that were connected before would send from the old ones. */
  renew(): void {
    for (const carrier of this.#carriers) carrier.renew();
    this.#trust.forgetSessions();
  }

  /** Closes every socket; nothing is reported any more. */
  close(): void {
    for (const carrier of this.#carriers) carrier.close();
  }

  get #carriers(): readonly Carrier[] {
    return [this.#udp, this.#stream, this.#https];
  }
}
