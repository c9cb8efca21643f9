import { parseResolvConf } from '../../dns/io/resolv-conf.ts';
import { portHolder } from '../../dns/io/port-holder.ts';
import type { Server } from '../../dns/finder.ts';
import { formatServer } from '../../dns/server-text.ts';
import { Upstreams } from '../../dns/io/upstream.ts';
import { rootName } from '../../dns/name.ts';
import { Resolver, type Resolution, type ResolverInput } from '../../dns/resolver.ts';
import { Class, Ede, Type } from '../../dns/types.ts';
import { readFileSync } from 'node:fs';
import { OeError, messageOf } from '../../errors.ts';
import { openXfrm } from '../../kernel/io/xfrm.ts';
import type { Availability, KernelPort } from '../../kernel/port.ts';
import { formatAddress, formatEndpoint, sameAddress, type Endpoint } from '../../net/address.ts';
import { close, openUdpSocket, SystemCallError } from '../../net/io/libc.ts';
import { describePublicKey } from '../../net/public-key.ts';
import { instant, wallSeconds } from '../../time.ts';
import { hostKeyPath, programDate, type Config } from '../config.ts';
import { listed } from '../text.ts';
import { loadTrust, type LoadedTrust } from './anchors.ts';
import { loadAuthorities } from './authorities.ts';
import { loadHostKey } from './host-key.ts';
import { isNetworkAdmin } from './privilege.ts';
import { systemRandom } from './random.ts';
import { localAddresses } from './source.ts';
import { RouteSource } from './upstreams.ts';
import { describeProgram, ikeDaemons } from './who.ts';

/** One thing that was looked at. */
export interface Check {
  /** Stable, for scripts. */
  readonly check: string;
  /** `unknown`: it could not be found out, mostly for want of privileges. */
  readonly state: 'ok' | 'problem' | 'unknown';
  /** One sentence. */
  readonly sentence: string;
  readonly remedy: string | null;
}

/** Looks at everything that `oe up` needs on this machine; `isRunning`: an agent answers on the control socket. */
export async function examine(config: Config, isRunning: boolean): Promise<Check[]> {
  const trust = trustOf(config);
  return [
    privileges(),
    ...(await kernel()),
    ...dnsPorts(config, isRunning),
    ...ikePorts(config, isRunning),
    ...otherDaemons(),
    hostKey(config),
    ...('check' in trust ? [trust] : trustChecks(trust)),
    ...(await upstreamChecks(config, 'check' in trust ? undefined : trust)),
    resolvConf(config),
    clock('check' in trust ? programDate : (trust.trust.clockNotBefore ?? programDate)),
  ];
}

function ok(check: string, sentence: string): Check {
  return { check, state: 'ok', sentence, remedy: null };
}

function problem(check: string, sentence: string, remedy: string): Check {
  return { check, state: 'problem', sentence, remedy };
}

function unknown(check: string, sentence: string, remedy: string): Check {
  return { check, state: 'unknown', sentence, remedy };
}

function fromError(check: string, error: unknown): Check {
  return error instanceof OeError
    ? problem(check, error.message, error.remedy)
    : problem(check, `${messageOf(error)}.`, 'Please report it.');
}

function privileges(): Check {
  return isNetworkAdmin() === false
    ? unknown(
        'privileges',
        'This user may not look at IPsec, so some checks say little.',
        'Run `sudo oe doctor`.',
      )
    : ok('privileges', 'This user may set up IPsec.');
}

async function kernel(): Promise<Check[]> {
  let port: KernelPort;
  try {
    port = openXfrm();
  } catch (error) {
    if (isNetworkAdmin() === false)
      return [unknown('kernel-esp', 'Whether the kernel has ESP is not known.', 'Run `sudo oe doctor`.')];
    return [
      problem(
        'kernel-esp',
        `The kernel has no IPsec: ${messageOf(error)}.`,
        'Load the module xfrm_user, or run a kernel that has it.',
      ),
    ];
  }
  try {
    const { esp4, esp6, suites } = await port.capabilities();
    return [
      espCheck('kernel-esp4', 'IPv4', esp4),
      espCheck('kernel-esp6', 'IPv6', esp6),
      suites.length > 0
        ? ok(
            'kernel-algorithms',
            `The kernel can encrypt with ${suites.length} of the suites that oe proposes.`,
          )
        : problem(
            'kernel-algorithms',
            'The kernel has no encryption algorithm that ESP can use.',
            'Load the modules gcm and aes_generic, or run a kernel that has them.',
          ),
    ];
  } catch (error) {
    return [
      unknown(
        'kernel-esp',
        `What the kernel can do was not found out: ${messageOf(error)}.`,
        'Run `sudo oe doctor`.',
      ),
    ];
  } finally {
    port.close();
  }
}

function espCheck(check: string, family: string, esp: Availability): Check {
  return esp.available
    ? ok(check, `The kernel has ESP for ${family}.`)
    : problem(check, withStop(esp.why), withStop(esp.remedy));
}

function dnsPorts(config: Config, isRunning: boolean): Check[] {
  return config.dns.listen.map((endpoint) => {
    const check = 'port-dns';
    const text = formatEndpoint(endpoint);
    const state = portState(endpoint);
    if (state === 'taken' && isRunning) return ok(check, `oe listens on ${text}.`);
    const holder = state === 'taken' ? portHolder(endpoint, 'udp') : undefined;
    const who = holder ? describeProgram(holder) : 'another program';
    return fromPortState(
      check,
      `UDP ${text}`,
      state,
      who,
      'Stop it, or set another address as listen in [dns].',
    );
  });
}

function ikePorts(config: Config, isRunning: boolean): Check[] {
  const { ports, listen } = config.ike;
  const addresses = listen ?? localAddresses();
  if (addresses.length === 0) {
    return [
      problem(
        'addresses',
        'This host has no address but loopback, so there is nobody to encrypt to.',
        'Bring up the network.',
      ),
    ];
  }
  return [ports.ike, ports.natt].map((port) => {
    const check = port === ports.ike ? 'port-ike' : 'port-ike-nat';
    for (const address of addresses) {
      const endpoint: Endpoint = { address, port };
      const state = portState(endpoint);
      if (state === 'free' || state === 'missing' || (state === 'taken' && isRunning)) continue;
      const holder = state === 'taken' ? portHolder(endpoint, 'udp') : undefined;
      const who = holder ? describeProgram(holder) : 'another program';
      return fromPortState(
        check,
        `UDP ${formatEndpoint(endpoint)}`,
        state,
        who,
        'Two IKE daemons cannot share a host: stop the other one.',
      );
    }
    return ok(check, isRunning ? `oe has UDP port ${port}.` : `UDP port ${port} is free.`);
  });
}

type PortState = 'free' | 'taken' | 'denied' | 'missing';

function portState(endpoint: Endpoint): PortState {
  try {
    close(openUdpSocket({ local: endpoint, bypassIpsec: false, espInUdp: false }).fd);
    return 'free';
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.code === 'EADDRINUSE') return 'taken';
    return error.code === 'EACCES' ? 'denied' : 'missing';
  }
}

function fromPortState(check: string, what: string, state: PortState, who: string, remedy: string): Check {
  switch (state) {
    case 'free':
      return ok(check, `${what} is free.`);
    case 'taken':
      return problem(check, `${what} is taken by ${who}.`, remedy);
    case 'denied':
      return unknown(check, `Whether ${what} is free is not known.`, 'Run `sudo oe doctor`.');
    case 'missing':
      return ok(check, `${what} is no address of this host, and is passed over.`);
    default:
      return state satisfies never;
  }
}

function otherDaemons(): Check[] {
  const found = ikeDaemons();
  if (found.length === 0) return [ok('other-ike', 'No other IKE daemon runs here.')];
  return [
    problem(
      'other-ike',
      `Another IKE daemon runs here: ${listed(found.map(describeProgram))}.`,
      'Stop it and keep it from starting again, or do without oe: both would set up IPsec for the same traffic.',
    ),
  ];
}

function hostKey(config: Config): Check {
  const path = hostKeyPath(config.paths);
  try {
    const key = loadHostKey(path);
    return ok(
      'host-key',
      key
        ? `There is a host key (${describePublicKey(key.publicKey)}); \`oe key show\` prints what to publish.`
        : 'There is no host key: this host is anonymous to its peers, which is enough to reach them.',
    );
  } catch (error) {
    return fromError('host-key', error);
  }
}

function trustOf(config: Config): Check | LoadedTrust {
  try {
    return loadTrust(config.dns, config.paths);
  } catch (error) {
    return fromError('trust-anchors', error);
  }
}

function trustChecks({ complaints }: LoadedTrust): Check[] {
  if (complaints.length === 0) return [ok('trust-anchors', 'The trust anchors can be read.')];
  return complaints.map((sentence) =>
    problem('trust-anchors', sentence, 'Look who wrote into the state directory.'),
  );
}

async function upstreamChecks(config: Config, trust: LoadedTrust | undefined): Promise<Check[]> {
  let upstreams: readonly Server[];
  try {
    ({ upstreams } = await new RouteSource(config).read());
  } catch (error) {
    return [fromError('upstream', error)];
  }
  let authorities: readonly string[];
  try {
    authorities = loadAuthorities(config.dns.caFile);
  } catch (error) {
    return [fromError('ca-file', error)];
  }
  if (!trust) return [];
  const offset = config.dns.validationDate;
  return Promise.all(upstreams.map((upstream) => upstreamCheck(upstream, trust, authorities, offset)));
}

/** Asks one resolver for the root's keys and validates them: whether DNSSEC gets through there. */
async function upstreamCheck(
  upstream: Server,
  trust: LoadedTrust,
  authorities: readonly string[],
  validationDate: number | undefined,
): Promise<Check> {
  const check = 'upstream-dnssec';
  const text = formatServer(upstream);
  const wall = validationDate ?? Math.floor(Date.now() / 1_000);
  const found = await rootKeys(upstream, trust, authorities, wall);
  if (!found)
    return problem(
      check,
      `The resolver ${text} does not answer.`,
      'Check the network, or name another under upstreams in [dns].',
    );
  const { verdict } = found;
  switch (verdict.status) {
    case 'secure':
      return ok(check, `The resolver ${text} passes DNSSEC: the root's keys validate.`);
    case 'insecure':
      return problem(
        check,
        `From the resolver ${text} the root looks unsigned.`,
        'Name a resolver that passes DNSSEC under upstreams in [dns].',
      );
    case 'bogus': {
      const isTime = verdict.ede === Ede.SIGNATURE_EXPIRED || verdict.ede === Ede.SIGNATURE_NOT_YET_VALID;
      const isStripped = missingFromReplies.has(verdict.ede);
      return problem(
        check,
        `What the resolver ${text} says of the root fails validation: ${verdict.why}.`,
        isTime
          ? 'Check the clock of this machine (`date -u`).'
          : isStripped
            ? 'It seems not to pass DNSSEC on: name another resolver under upstreams in [dns].'
            : 'Somebody on the way forges answers, or the trust anchor is not the right one.',
      );
    }
    case 'indeterminate':
      return problem(
        check,
        `The resolver ${text} gives no usable DNSSEC answer: ${verdict.why}.`,
        'Name a resolver that passes DNSSEC under upstreams in [dns].',
      );
    default:
      return verdict satisfies never;
  }
}

function rootKeys(
  upstream: Server,
  trust: LoadedTrust,
  authorities: readonly string[],
  wall: number,
): Promise<Resolution | undefined> {
  const { managed, saved } = trust.trust;
  const resolver = new Resolver({
    upstreams: [upstream],
    anchors: trust.fixed,
    trust: { managed: managed ?? [], saved },
    random: systemRandom,
  });
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const sockets = new Upstreams(
      {
        reply: (ask, octets) => {
          take({ kind: 'reply', ask, octets });
        },
        failed: (ask, why) => {
          take({ kind: 'failed', ask, why });
        },
      },
      { authorities },
    );
    const end = (resolution: Resolution | undefined): void => {
      clearTimeout(timer);
      clearTimeout(limit);
      sockets.close();
      resolve(resolution);
    };
    const limit = setTimeout(end, upstreamLimitMs, undefined);
    const take = (input: ResolverInput): void => {
      for (const effect of resolver.handle(input, instant(performance.now()), wallSeconds(wall))) {
        if (effect.kind === 'ask') sockets.ask(effect);
        if (effect.kind === 'release') sockets.release(effect.ask, effect.keepMs);
        if (effect.kind === 'resolved') {
          end(effect.resolution);
          return;
        }
      }
      clearTimeout(timer);
      const { deadline } = resolver;
      if (deadline)
        timer = setTimeout(take, Math.max(0, Math.ceil(deadline.at - performance.now())), { kind: 'tick' });
    };
    const question = { name: rootName, type: Type.DNSKEY, class: Class.IN };
    take({ kind: 'lookup', id: 1, question, checkingDisabled: false });
  });
}

const upstreamLimitMs = 6_000;

/** What a resolver without DNSSEC leaves out. */
const missingFromReplies = new Set<number>([Ede.DNSKEY_MISSING, Ede.RRSIGS_MISSING, Ede.NSEC_MISSING]);

function resolvConf(config: Config): Check {
  const { resolvConf: path, listen } = config.dns;
  const own = listen.filter((e) => e.port === 53).map((e) => e.address);
  const remedy = `Write ${listed(own.map((a) => `\`nameserver ${formatAddress(a)}\``)) || 'the address of oe'} into ${path} as its only name servers, once oe runs.`;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return problem('resolv-conf', `${path} cannot be read: ${messageOf(error)}.`, remedy);
  }
  const { nameservers } = parseResolvConf(text);
  const others = nameservers.filter((n) => !own.some((o) => sameAddress(o, n)));
  if (nameservers.length > 0 && others.length === 0) return ok('resolv-conf', `${path} points at oe.`);
  const who = others.length === 0 ? 'names no server' : `names ${listed(others.map(formatAddress))}`;
  return problem('resolv-conf', `Programs do not ask oe, or not only: ${path} ${who}.`, remedy);
}

/**
 * A clock that stands before a time that has been, that of this program or of its state, is certainly wrong; signatures
 * cannot be judged by it.
 */
function clock(notBefore: number): Check {
  const now = new Date();
  return now.getTime() < notBefore * 1_000
    ? problem(
        'clock',
        `The clock says ${now.toISOString()}, which is past.`,
        'Set it, or start a time service (chrony, systemd-timesyncd).',
      )
    : ok('clock', `The clock says ${now.toISOString()}.`);
}

function withStop(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}
