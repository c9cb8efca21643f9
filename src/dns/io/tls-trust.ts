import type * as Tls from 'node:tls';
import { messageOf } from '../../errors.ts';
import { formatAddress, formatEndpoint } from '../../net/address.ts';
import type { Server } from '../finder.ts';
import { codeOf, failure } from './upstream-events.ts';

/** node:tls, loaded when the first server asks for it: a stub without such servers needs none of it. */
export function loadTls(): typeof Tls {
  return process.getBuiltinModule('node:tls');
}

/**
 * How encrypted servers prove who they are. With a name, the certificate must be valid for it under the authorities
 * that this host knows (RFC 8310 §8.1, the strict profile); without one, anybody's will do (the opportunistic one, §5).
 */
export class TlsTrust {
  readonly #authorities: readonly string[];
  #strict: Tls.SecureContext | undefined;
  #opportunistic: Tls.SecureContext | undefined;
  /** What a server gave us to come back with, by {@link serverKey}. */
  readonly #sessions = new Map<string, Buffer>();

  /** `authorities`: certificates in PEM that are trusted beside the system's and those that Node brings along. */
  constructor(authorities: readonly string[]) {
    this.#authorities = authorities;
  }

  /** What to hand to `tls.connect`; the socket then goes to {@link keepSession}. */
  options(server: Server, protocol: 'dot' | 'h2'): Tls.ConnectionOptions {
    const { endpoint, authName } = server;
    const session = this.#sessions.get(serverKey(server));
    return {
      host: formatAddress(endpoint.address),
      port: endpoint.port,
      ALPNProtocols: [protocol],
      minVersion: 'TLSv1.2', // RFC 9325 §3.1.1
      secureContext: authName === undefined ? this.#unproven() : this.#proven(),
      rejectUnauthorized: authName !== undefined,
      // An address is no server name (RFC 6066 §3).
      servername: authName === undefined || isAddress(authName) ? '' : authName,
      ...(authName !== undefined && {
        checkServerIdentity: (_, certificate) => nameFault(authName, certificate),
      }),
      ...(session !== undefined && { session }),
    };
  }

  /** Remembers what a connection to `server` can be resumed with (RFC 7858 §3.4). */
  keepSession(server: Server, socket: Tls.TLSSocket): void {
    const key = serverKey(server);
    socket.on('session', (session) => {
      this.#sessions.delete(key);
      const [oldest] = this.#sessions.keys();
      if (this.#sessions.size >= maxSessions && oldest !== undefined) this.#sessions.delete(oldest);
      this.#sessions.set(key, session);
    });
  }

  /** Reads what checking names wants, a tenth of a second's work, before anything is asked. */
  prepare(): void {
    this.#proven();
  }

  /** In another network nobody shall know us by what the last one gave us. */
  forgetSessions(): void {
    this.#sessions.clear();
  }

  #proven(): Tls.SecureContext {
    const tls = loadTls();
    this.#strict ??= tls.createSecureContext({
      ca: [
        ...new Set([
          ...tls.getCACertificates('bundled'),
          ...tls.getCACertificates('system'),
          ...this.#authorities,
        ]),
      ],
    });
    return this.#strict;
  }

  #unproven(): Tls.SecureContext {
    this.#opportunistic ??= loadTls().createSecureContext({ ca: [] });
    return this.#opportunistic;
  }
}

const maxSessions = 100;

/** Equal for servers that can share a connection. */
export function serverKey({ transport, endpoint, authName }: Server): string {
  return `${transport} ${formatEndpoint(endpoint)} ${authName ?? ''}`;
}

/** Why a TLS connection could not be had: a clause that says what is wrong with the certificate where that is it. */
export function tlsFailure(server: Server, error: unknown): string {
  const who = formatEndpoint(server.endpoint);
  const its = `the certificate of ${who}`;
  switch (codeOf(error)) {
    case 'CERT_HAS_EXPIRED':
      return `${its} has expired, or the clock of this host is wrong`;
    case 'CERT_NOT_YET_VALID':
      return `${its} is not valid yet, or the clock of this host is wrong`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return `${its} is self-signed: no authority that this host knows says that it is ${server.authName ?? 'its'}`;
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `${its} is from an authority that this host does not know`;
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `${its} is ${messageOf(error)}`;
    case 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL':
    case 'ERR_SSL_TLSV13_ALERT_NO_APPLICATION_PROTOCOL':
      return `${who} does not speak ${server.transport === 'https' ? 'HTTP/2' : 'DNS over TLS'}`;
    default:
      break;
  }
  const code = String(codeOf(error));
  // OpenSSL's words for what a certificate can lack; those of the system's errors are shorter.
  if (/CERT|CRL|SIGNATURE|PATH_LENGTH|PURPOSE/.test(code)) return `${its} is not valid: ${messageOf(error)}`;
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    const reason = error instanceof Error && 'reason' in error ? String(error.reason) : code;
    return `${who} speaks no TLS that we understand: ${reason.toLowerCase()}`;
  }
  return failure(server.endpoint, error);
}

/** An error where the certificate does not bear the name; its common name does not count (RFC 8310 §8.1). */
function nameFault(authName: string, certificate: Tls.PeerCertificate): Error | undefined {
  const names = certificate.subjectaltname;
  const fault =
    names === undefined ? true : loadTls().checkServerIdentity(authName, certificate) !== undefined;
  if (!fault) return undefined;
  const theirs = (names ?? '').replaceAll(/(?:DNS|IP Address):/g, '').replaceAll(/[^ -~]/g, '?');
  const shown = theirs.length > 120 ? `${theirs.slice(0, 120)}…` : theirs;
  return Object.assign(
    new Error(
      shown === '' ? `for no name, and ${authName} is wanted` : `for ${shown} and not for ${authName}`,
    ),
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  );
}

function isAddress(name: string): boolean {
  return process.getBuiltinModule('node:net').isIP(name) !== 0;
}
