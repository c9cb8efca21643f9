import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import type { Server } from '../../dns/finder.ts';
import { HostsFile } from '../../dns/io/hosts.ts';
import { DnsListener } from '../../dns/io/listen.ts';
import { nameOf } from '../../dns/name.ts';
import { portHolder } from '../../dns/io/port-holder.ts';
import { hostAddresses } from '../../dns/io/resolv-conf.ts';
import { Upstreams } from '../../dns/io/upstream.ts';
import { formatServer } from '../../dns/server-text.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';
import { IkeSockets } from '../../ike/io/sockets.ts';
import { openXfrm } from '../../kernel/io/xfrm.ts';
import { KernelError, type Capabilities, type EspSuite, type KernelPort } from '../../kernel/port.ts';
import { formatEndpoint, type Endpoint, type IpAddress } from '../../net/address.ts';
import { SystemCallError } from '../../net/io/libc.ts';
import { describePublicKey } from '../../net/public-key.ts';
import { randomU32 } from '../../random.ts';
import { instant, wallSeconds } from '../../time.ts';
import { describeProblems, hostKeyPath, socketPath } from '../config.ts';
import { ruleRemarks } from '../policy-check.ts';
import { rehearse } from '../rehearsal.ts';
import { anchorStore, loadTrust } from './anchors.ts';
import { loadAuthorities } from './authorities.ts';
import { cacheFile } from './cache-file.ts';
import { openControl, type ControlRoutes } from './control.ts';
import { loadHostKey, scratchKey, type HostKey } from './host-key.ts';
import type { Log } from './log.ts';
import { noKernel } from './no-kernel.ts';
import { groupComplaints } from './private-groups.ts';
import { demandPrivileges } from './privilege.ts';
import { Reloader, type Loaded, type Reloaded } from './reload.ts';
import { controlRoutes } from './routes.ts';
import { systemRandom } from './random.ts';
import { loadRootHints } from './root-hints.ts';
import { ruleProblem } from './rules-file.ts';
import { Runtime, sameAddresses } from './runtime.ts';
import { localAddresses } from './source.ts';
import { RouteSource } from './upstreams.ts';
import { describeProgram } from './who.ts';

/** An agent that runs. */
export interface Running {
  readonly listening: readonly Endpoint[];
  readonly upstreams: readonly Server[];
  readonly hostKey: string | undefined;
  /** What is not as it should be, each as sentences with the remedy. */
  readonly complaints: readonly string[];
  /** Takes what may change of the configuration as it is now; nothing has changed where it throws. */
  reload(): Promise<Reloaded>;
  /** Takes everything out of the kernel and closes every socket. */
  stop(): Promise<void>;
}

/**
 * Starts the agent that a configuration describes; `load` reads it again. Throws one {@link OeError} where it cannot run; nothing stays open or in
 * the kernel then. Where the kernel has no ESP it runs all the same, as a validating stub, and complains.
 */
export async function startAgent(loaded: Loaded, log: Log, load: () => Loaded): Promise<Running> {
  const open: (() => unknown)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of open.splice(0).reverse()) await close();
  };
  try {
    return await start(loaded, load, log, open, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function start(
  { config, groups, file }: Loaded,
  load: () => Loaded,
  log: Log,
  open: (() => unknown)[],
  closeAll: () => Promise<void>,
): Promise<Running> {
  const { dns, ike, gate, paths } = config;
  demandPrivileges(dns.listen.map((e) => e.port));
  const trust = loadTrust(dns, paths);
  const authorities = loadAuthorities(dns.caFile);
  const identity = loadHostKey(hostKeyPath(paths));
  const source = new RouteSource(config);
  let routing = await source.read();

  // The control socket comes first: it is how another oe on these directories is found out.
  let routes: ControlRoutes = {};
  const control = await openControl(socketPath(paths), () => routes);
  open.push(() => control.close());

  const kernel = openKernel(ike.offload === 'auto');
  open.push(() => {
    kernel.close();
  });
  const capabilities = await kernel.capabilities();
  const wall = wallSeconds(Math.floor(Date.now() / 1_000));
  const complaints = [...complaintsOf(capabilities), ...trust.complaints, ...groupComplaints(groups, wall)];
  const canEncrypt = capabilities.esp4.available || capabilities.esp6.available;

  if (ike.natNeighbours === 'mark') complaints.push(...acceptMarks());

  const addresses = (): IpAddress[] => [...(ike.listen ?? localAddresses())];
  let locals = addresses();
  let host = localAddresses();
  /** Set below: the sockets are open before there is an agent to hear of them. */
  const agent: { runtime?: Runtime } = {};
  const failed = (event: string, why: string): void => {
    log({ level: 'debug', event, why });
  };
  const sockets = new IkeSockets({
    ports: ike.ports,
    failed,
    received: (local, remote, octets) => agent.runtime?.input({ kind: 'datagram', local, remote, octets }),
  });
  open.push(() => {
    sockets.close();
  });
  if (canEncrypt) followAddresses(sockets, locals);

  const upstreamSockets = new Upstreams(
    {
      reply: (ask, octets) => agent.runtime?.input({ kind: 'reply', ask, octets }),
      failed: (ask, why) => agent.runtime?.input({ kind: 'failed', ask, why }),
    },
    { authorities },
  );
  open.push(() => {
    upstreamSockets.close();
  });
  const listener = await DnsListener.open(
    dns.listen,
    (query, octets, limitOctets) => agent.runtime?.input({ kind: 'query', query, octets, limitOctets }),
    {
      front: dns.front,
      clients: { allow: dns.allow, rateLimit: dns.rateLimit },
      seed: randomU32(systemRandom),
      warn: (why) => {
        log({ level: 'warn', event: 'dns.front', why });
      },
    },
  );
  open.push(() => listener.close());
  listener.setLocals(localAddresses());

  const cacheOctets = dns.cacheMegabytes * 2 ** 20;
  const cached = cacheFile(paths, cacheOctets, log);
  const running = new Runtime(
    {
      kernel,
      answer: (query, octets, keep) => {
        listener.answer(query, octets, keep);
      },
      forget: () => {
        listener.forget();
      },
      upstreams: upstreamSockets,
      ike: canEncrypt ? sockets : undefined,
      keyLog: keyLogTo(ike.keyLog, log),
      hosts:
        dns.hostsFile === undefined
          ? undefined
          : new HostsFile(dns.hostsFile, (why) => {
              log({ level: 'warn', event: 'hosts.unusable', why });
            }),
      anchors: anchorStore(dns, paths, log),
      keepCache: (octets) => {
        cached.keep(octets);
      },
      log,
      wallOffset: dns.validationDate === undefined ? 0 : dns.validationDate - Math.floor(Date.now() / 1_000),
    },
    {
      locals,
      // The host's name, or the first label of it where it is a full one.
      ownNames: [nameOf(hostname().split('.')[0] ?? '')].flatMap((n) => n ?? []),
      ...routing,
      mode: dns.mode,
      ...(dns.rootHints !== undefined && { hints: loadRootHints(dns.rootHints) }),
      qnameMinimisation: dns.qnameMinimisation,
      limits: dns.limits,
      own: { listen: dns.listen, host: hostAddresses() },
      ...(!dns.fallback && { probes: false }),
      // Who names a resolver says how it is to be asked.
      discovers: dns.encrypt === 'opportunistic' && dns.upstreams === undefined,
      anchors: trust.fixed,
      trust: trust.trust,
      cache: {
        limitOctets: cacheOctets,
        maxTtl: dns.cacheMaxTtl,
        serveStale: dns.serveStale,
        keep: true,
      },
      random: systemRandom,
      identity,
      groups,
      capabilities,
      keyLog: ike.keyLog !== undefined,
      ports: ike.ports,
      marksNeighbours: ike.natNeighbours === 'mark',
      policy: config.policy,
      ...gate,
      minimalAny: dns.minimalAny,
      dns64: dns.dns64,
    },
  );
  agent.runtime = running;
  const unsubscribe = kernel.events((event) => {
    running.input({ kind: 'kernel', event });
  });
  open.push(unsubscribe);
  const others = (routing.zones ?? []).flatMap((zone) => zone.servers);
  await upstreamSockets.prepare([...routing.upstreams, ...others]);
  await running.start();
  const restored = cached.load();
  if (restored) running.input({ kind: 'restored', octets: restored });

  const reroute = async (): Promise<void> => {
    const changed = await source.changed();
    if (!changed) return;
    routing = changed;
    running.input({ kind: 'upstreams', routes: changed });
    log({
      level: 'info',
      event: 'upstreams.changed',
      upstreams: changed.upstreams.map(formatServer).join(' '),
    });
  };
  const follow = setInterval(() => {
    void reroute();
    const now = addresses();
    try {
      // Also when nothing changed: an address may have become usable meanwhile.
      if (canEncrypt) sockets.follow(now);
    } catch (error) {
      log({ level: 'warn', event: 'ike.bind', why: messageOf(error) });
    }
    running.readHosts();
    const here = localAddresses();
    if (sameAddresses(now, locals) && sameAddresses(here, host)) return;
    locals = now;
    host = here;
    listener.setLocals(host);
    upstreamSockets.renew();
    running.input({ kind: 'locals', addresses: now, own: { listen: dns.listen, host: hostAddresses() } });
    log({ level: 'info', event: 'addresses.changed', count: now.length });
  }, addressesEveryMs);
  open.push(() => {
    clearInterval(follow);
  });

  const startedMs = performance.now();
  if (canEncrypt) rehearseTimes(rehearsals, identity ?? scratchKey(), capabilities.suites);
  const hostKey = identity && describePublicKey(identity.publicKey);
  const reloader = new Reloader(running, config, load, log);
  const remarks = (): string[] => {
    const resolvers = routing.upstreams.map((server) => server.endpoint.address);
    const found = ruleRemarks(reloader.config.policy, resolvers).map((remark) => ruleProblem(remark));
    return found.map((remark) => describeProblems(file ?? '', [remark]));
  };
  const policy = { file, remarks, reload: () => reloader.reload() };
  routes = controlRoutes(running, policy, () => ({
    upSeconds: Math.round((performance.now() - startedMs) / 1_000),
    listening: listener.endpoints.map(formatEndpoint),
    upstreams: dns.mode === 'recurse' ? ['the root servers'] : routing.upstreams.map(formatServer),
    hostKey: hostKey ?? null,
    esp: { ipv4: capabilities.esp4.available, ipv6: capabilities.esp6.available },
    complaints: [...complaints, ...remarks()],
    notes: [],
    counters: listener.stats,
  }));
  return {
    listening: listener.endpoints,
    upstreams: routing.upstreams,
    hostKey,
    complaints: [...complaints, ...remarks()],
    reload: () => reloader.reload(),
    stop: async () => {
      await running.stop(stopLimitMs);
      await closeAll();
    },
  };
}

/** A handshake at a time, so that whoever asks meanwhile does not wait for more than one. */
function rehearseTimes(count: number, identity: HostKey, suites: readonly EspSuite[]): void {
  setImmediate(() => {
    const ok = rehearse(systemRandom, identity, suites, instant(performance.now()));
    if (ok && count > 1) rehearseTimes(count - 1, identity, suites);
  });
}

function openKernel(offload: boolean): KernelPort {
  try {
    return openXfrm({ offload });
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    if (error.code !== 'EPERM') return noKernel(error.message);
    throw new OeError(
      'not-privileged',
      `oe up may not set up IPsec here: ${error.message}.`,
      'Run it as root (`sudo oe up`), or as a service with CAP_NET_ADMIN.',
      Exit.noPermission,
      error,
    );
  }
}

function complaintsOf({ esp4, esp6, suites }: Capabilities): string[] {
  const sentences = [esp4, esp6].flatMap((esp) =>
    esp.available ? [] : [`${esp.why.replace(/\.$/, '')}. ${esp.remedy}`],
  );
  if (!esp4.available && !esp6.available)
    sentences.unshift('NOTHING CAN BE ENCRYPTED: oe only validates DNS.');
  else if (suites.length === 0) sentences.push('The kernel has no algorithm that ESP can use.');
  return [...new Set(sentences)];
}

function followAddresses(sockets: IkeSockets, locals: readonly IpAddress[]): void {
  try {
    sockets.follow(locals);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.code !== 'EADDRINUSE') {
      throw new OeError(
        'ike-socket-failed',
        `IKE cannot have its port: ${error.message}.`,
        'Run `oe doctor`; it says what this machine lacks.',
        Exit.osError,
        error,
      );
    }
    const taken = sockets.refused;
    const holder = taken && portHolder(taken, 'udp');
    throw new OeError(
      'ike-port-busy',
      `UDP ${taken ? formatEndpoint(taken) : 'port'} of IKE is taken by ${holder ? describeProgram(holder) : 'another program'}.`,
      'Two IKE daemons cannot share a host: stop the other one, or give oe other addresses with listen in [ike].',
      Exit.unavailable,
      error,
    );
  }
}

/** Writes keys where only their owner can read them. */
/** Has the kernel give connections that come in with a mark the same mark outwards; what stands in the way of that. */
function acceptMarks(): string[] {
  const file = '/proc/sys/net/ipv4/tcp_fwmark_accept';
  try {
    if (readFileSync(file, 'utf8').trim() !== '1') writeFileSync(file, '1');
    return [];
  } catch (error) {
    return [
      `The marks of hosts behind one NAT do not reach TCP: ${messageOf(error)}. Run: sysctl -w net.ipv4.tcp_fwmark_accept=1`,
    ];
  }
}

function keyLogTo(path: string | undefined, log: Log): (line: string) => void {
  if (path === undefined) return () => undefined;
  log({ level: 'warn', event: 'keylog.on', path, why: 'whoever reads this file can read the IKE messages' });
  try {
    appendFileSync(path, '', { mode: 0o600 });
    chmodSync(path, 0o600);
  } catch (error) {
    throw new OeError(
      'key-log-unwritable',
      `The key log cannot be written: ${messageOf(error)}.`,
      'Correct key-log in [ike], or leave it out.',
      Exit.cannotCreate,
      error,
    );
  }
  return (line) => {
    try {
      appendFileSync(path, `${line}\n`, { mode: 0o600 });
    } catch (error) {
      log({ level: 'error', event: 'keylog.failed', why: messageOf(error) });
    }
  };
}

const addressesEveryMs = 3_000;
const stopLimitMs = 3_000;
/** The first takes 32 ms in the lab, from the fourth on it is 4. */
const rehearsals = 4;
