import { inPlaceOfAny } from '../dns/any.ts';
import type { ZoneEntry } from '../dns/dnssec/zones.ts';
import { noHosts, type Hosts } from '../dns/hosts.ts';
import { localAnswer, type LocalAnswer } from '../dns/local-names.ts';
import type { Question } from '../dns/message.ts';
import { serverAddresses, type Routes } from '../dns/finders.ts';
import { isBelow, rootName, type NameKey } from '../dns/name.ts';
import { Nat64 } from '../dns/nat64.ts';
import { Resolver, type ResolverEffect, type ResolverInput } from '../dns/resolver.ts';
import { decodeQuery, encodeRefusal, type ClientQuery } from '../dns/stub.ts';
import { Class, Ede, Rcode, Type } from '../dns/types.ts';
import type { Keep } from '../dns/wire-cache.ts';
import type { ChildSa } from '../ike/child.ts';
import { IkeEndpoint, type EndpointEffect, type EndpointInput } from '../ike/endpoint.ts';
import { KernelLedger } from '../kernel/ledger.ts';
import type { KernelEvent, KernelOp, KernelSnapshot } from '../kernel/port.ts';
import type { LogEvent } from '../log.ts';
import { sameAddress, type IpAddress } from '../net/address.ts';
import { isLocalOnly, isPrivateUse } from '../net/scope.ts';
import { earliest, type Deadline, type Instant, type WallSeconds } from '../time.ts';
import type { AgentEffect, AgentInput, AgentOptions, AgentView, LiveStates } from './agent-types.ts';
import { unproved } from './admission.ts';
import { answerOctets, minimalOutcome } from './answers.ts';
import { digOf } from './dig.ts';
import { exemption } from './exempt.ts';
import { Gate } from './gate.ts';
import type { LookupRecord, Outcome } from './lookup.ts';
import { PeerKeys } from './peer-keys.ts';
import type { Moment } from './peer.ts';
import { roomFor } from './neighbours.ts';
import { defaultPeerLimits, Peers } from './peers.ts';
import { admits, decide, decideInbound, insists, memberRule } from './policy.ts';
import type { PolicyChange } from './policy-change.ts';
import { followed, RuleKeeper } from './rule-keeper.ts';
import { standingRules } from './standing-rules.ts';
import { Watching } from './watching.ts';

/**
 * The agent: resolver, IKE endpoint, kernel ledger and the gate between them, as one state machine. It is fed inputs
 * with the time, and answers with effects in the order in which they must be performed: what the kernel has to do
 * comes before the message that relies on it. The edge (`io/runtime.ts`) owns every socket and clock; a simulated
 * world can take its place.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #resolver: Resolver;
  readonly #endpoint: IkeEndpoint;
  readonly #ledger: KernelLedger;
  readonly #peers: Peers;
  readonly #gate: Gate;
  readonly #peerKeys: PeerKeys;
  readonly #watching = new Watching();
  readonly #nat64: Nat64;
  readonly #keeper: RuleKeeper;
  #locals: readonly IpAddress[];
  #routes: Routes;
  #hosts: Hosts = noHosts;

  readonly #work: Work[] = [];
  #effects: AgentEffect[] = [];
  #at: Moment = { now: 0 as Instant, wall: 0 as WallSeconds };

  readonly #clients = new Map<number, Client>();
  readonly #batches = new Map<number, Batch>();
  readonly #counters: Record<string, number> = {};
  #nextId = 1;
  /** Of the resolver, when clients last heard of it: what they were told before may not be told again. */
  #generation = 0;
  #stopping = false;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#locals = options.locals;
    this.#routes = { upstreams: options.upstreams, zones: options.zones ?? [] };
    this.#resolver = new Resolver(options);
    this.#ledger = new KernelLedger({ marks: options.marksNeighbours ?? false });
    this.#endpoint = new IkeEndpoint({
      random: options.random,
      identity: options.identity,
      suites: options.capabilities.suites,
      ...(options.groups && {
        groups: options.groups.map((group) => followed(group, () => this.#keeper.rules)),
      }),
      keyLog: options.keyLog,
      ports: options.ports,
      kernelKeepalives: options.capabilities.keepalives,
    });
    const budgets = { ...defaultPeerLimits };
    Object.defineProperty(budgets, 'budgetMs', { get: () => this.#keeper.rules.budgetMs });
    this.#peers = new Peers(
      {
        endpoint: (input) => this.#work.push({ to: 'endpoint', input }),
        findSource: (peer) => this.#effects.push({ kind: 'findSource', peer }),
        changed: (address) => this.#work.push({ to: 'gate', address }),
      },
      budgets,
    );
    this.#keeper = new RuleKeeper(options, {
      peers: this.#peers,
      apply: (addresses, changed) => {
        this.#applyRules(changed ? { what: 'policy', ...changed, addresses } : { what: 'block', addresses });
      },
      forget: () => {
        this.#forget();
      },
      full: (address) => {
        this.#count('blocksFull');
        this.#blocked(address, 'full');
      },
      end: (child, why, whole) => {
        this.#end(child, why, whole);
      },
    });
    this.#gate = new Gate(
      {
        lookup: (question, checkingDisabled) => {
          const id = this.#lookup(question, checkingDisabled);
          this.#nat64.began(id, question, checkingDisabled);
          return id;
        },
        cancel: (id) => {
          this.#nat64.cancelled(id);
          this.#work.push({ to: 'resolver', input: { kind: 'cancel', id } });
        },
        local: (question) => this.#local(question),
        cached: (question, cd) => {
          const known = this.#resolver.cached(question, cd, this.#at.now, this.#at.wall);
          return known && this.#nat64.hasToMake(question, cd, known) ? undefined : known;
        },
        knownInsecure: (name) => this.#resolver.knownInsecure(name, this.#at.now, this.#at.wall),
        block: (address, seconds) => {
          this.#keeper.block(address, seconds, this.#at);
        },
        replace: (address) => {
          for (const child of this.#peers.unfit(address, this.#at.now))
            this.#end(child, 'the rules want more of the peer', true);
        },
        release: (waiter, outcome, keep) => {
          this.#release(waiter, outcome, keep);
        },
        warn: (event, fields) => {
          this.#log({ level: 'warn', event, ...fields });
        },
      },
      this.#peers,
      this.#keeper.live({
        exempt: (address: IpAddress) => this.#exempt(address),
        isResolver: (address: IpAddress) => this.#resolvers().some((r) => sameAddress(r, address)),
        unavailable: (address: IpAddress) => this.#unavailable(address),
      }),
    );
    this.#nat64 = new Nat64(options.dns64 ?? 'off', options.locals, {
      lookup: (question, checkingDisabled) => this.#lookup(question, checkingDisabled),
      resolved: (id, resolution) => {
        this.#gate.resolved(id, resolution, this.#at);
      },
      // The translator's address of it would pass by a rule for the host's own.
      mayShow: (name, v4) => {
        const { rule, group } = decide(this.#keeper.rules.policy, name, v4);
        return rule?.match.kind !== 'prefix' || !insists(group);
      },
    });
    this.#peerKeys = new PeerKeys({
      lookup: (question) => this.#lookup(question, false),
      answer: (query, peer, keys, why) => {
        this.#peers.story(peer, `asked who it is: ${why}`, this.#at);
        this.#work.push({ to: 'endpoint', input: { kind: 'peerKeys', query, keys } });
      },
      groupOf: (peer, name) =>
        name === undefined
          ? decideInbound(this.#keeper.rules.policy, peer).rule?.auth
          : memberRule(this.#keeper.rules.policy, name)?.auth,
    });
  }

  handle(input: AgentInput, now: Instant, wall: WallSeconds): readonly AgentEffect[] {
    this.#at = { now, wall };
    this.#take(input);
    // Each part may give the others something to do; they do it in the order in which it came up.
    for (let work = this.#work.shift(); work !== undefined; work = this.#work.shift()) this.#perform(work);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `{ kind: 'tick' }` is next wanted, or undefined when nothing is due. */
  get deadline(): Deadline | undefined {
    return earliest([
      this.#resolver.deadline,
      this.#endpoint.deadline,
      this.#gate.deadline,
      this.#watching.deadline,
      this.#keeper.blocks.deadline,
    ]);
  }

  /** What `status` and `why` are made from. Not to be kept past the next input. */
  get view(): AgentView {
    return {
      peers: this.#peers,
      gate: this.#gate,
      policy: this.#keeper.rules.policy,
      locals: this.#locals,
      at: this.#at,
      counters: {
        ...this.#counters,
        lookupsOpen: this.#gate.openCount,
        negotiationsOpen: this.#peers.attemptCount,
        ...this.#resolver.stats,
      },
      notes: [...this.#resolver.notes(this.#at.wall, this.#at.now), ...this.#nat64.notes],
    };
  }

  recordsOf(name: NameKey): LookupRecord[] {
    return this.#gate.recordsOf(name);
  }

  /** The inbound and outbound state of every SA that stands. */
  states(): LiveStates[] {
    return [...this.#peers.all()].flatMap((peer) =>
      peer.live.map(({ child }) => ({
        peer,
        inbound: { destination: child.local, spi: child.inbound.spi },
        outbound: { destination: child.peer, spi: child.outbound.spi },
      })),
    );
  }

  #take(input: AgentInput): void {
    switch (input.kind) {
      case 'start': {
        this.#keeper.takeOver(input.snapshot, this.#at);
        const leftovers = this.#ledger.leftovers(input.snapshot);
        if (leftovers.length > 0) {
          this.#log({ level: 'info', event: 'kernel.leftovers', removed: leftovers.length });
          this.#apply(leftovers, { what: 'other' });
        }
        this.#applyRules({ what: 'other' });
        // Every proof begins there; the first program that asks need not wait for it.
        const { anchors, trust } = this.#options;
        for (const name of new Set([...anchors, ...(trust?.managed ?? [])].map((a) => a.owner))) {
          this.#lookup({ name, type: Type.DNSKEY, class: Class.IN }, false);
        }
        return;
      }
      case 'query':
        this.#query(input.query, input.octets, input.limitOctets);
        return;
      case 'look':
        this.#look(input.request, input.name);
        return;
      case 'dig': {
        const { request, question, checkingDisabled } = input;
        const waiter = -this.#nextId++;
        this.#clients.set(waiter, { kind: 'dig', request, question, at: this.#at.now });
        const asked = this.#isMinimal(question) ? inPlaceOfAny(question) : question;
        this.#gate.ask(waiter, asked, checkingDisabled, this.#at);
        return;
      }
      case 'reply':
      case 'failed':
      case 'anchorsFetched':
      case 'anchorsNotFetched':
      case 'flush':
      case 'restored':
        this.#work.push({ to: 'resolver', input });
        return;
      case 'datagram':
        this.#datagram(input);
        return;
      case 'source':
        this.#peers.source(input.peer, input.local, this.#at);
        return;
      case 'upstreams':
        this.#routes = input.routes;
        this.#work.push({ to: 'resolver', input });
        this.#nat64.moved(this.#locals);
        this.#applyRules({ what: 'other' });
        return;
      case 'locals':
        this.#locals = input.addresses;
        this.#forget();
        this.#work.push({ to: 'resolver', input: { kind: 'moved', ...(input.own && { own: input.own }) } });
        this.#nat64.moved(input.addresses);
        this.#applyRules({ what: 'other' });
        return;
      case 'hosts':
        this.#hosts = input.hosts;
        this.#forget();
        return;
      case 'spi':
        this.#work.push({
          to: 'endpoint',
          input: { kind: 'spiAllocated', request: input.request, spi: input.spi },
        });
        return;
      case 'noSpi':
        this.#work.push({
          to: 'endpoint',
          input: { kind: 'spiRefused', request: input.request, why: input.why },
        });
        return;
      case 'applied':
        this.#settled(input.batch);
        return;
      case 'refused':
        this.#settled(input.batch, input.why);
        return;
      case 'kernel':
        this.#kernelEvent(input.event);
        return;
      case 'counted':
        for (const { child } of this.#watching.counted(input.request, input.counters, this.#at.now)) {
          this.#peers.story(child.peer, 'what is sent to it is not answered', this.#at);
          this.#work.push({ to: 'endpoint', input: { kind: 'unanswered', child } });
        }
        this.#countTraffic();
        return;
      case 'stock':
        this.#compare(input.version, input.snapshot);
        return;
      case 'forgive':
        this.#peers.forgive(input.peer);
        return;
      case 'policy':
        this.#keeper.change(
          input.request,
          input.rules,
          { plans: this.#gate.plans(), exempt: (address) => this.#exempt(address) !== undefined },
          this.#at,
        );
        this.#gate.policyChanged(this.#at);
        return;
      case 'stop':
        if (this.#stopping) return;
        this.#stopping = true;
        this.#watching.close();
        this.#forget();
        this.#log({ level: 'info', event: 'agent.stopping' });
        this.#work.push(
          { to: 'resolver', input: { kind: 'keep' } },
          { to: 'endpoint', input: { kind: 'close' } },
          { to: 'end' },
        );
        return;
      case 'tick':
        this.#work.push(
          { to: 'resolver', input: { kind: 'tick' } },
          { to: 'endpoint', input: { kind: 'tick' } },
        );
        this.#gate.tick(this.#at);
        this.#keeper.tick(this.#at);
        this.#countTraffic();
        return;
      default:
        input satisfies never;
    }
  }

  #perform(work: Work): void {
    const { now, wall } = this.#at;
    switch (work.to) {
      case 'resolver':
        for (const effect of this.#resolver.handle(work.input, now, wall)) this.#fromResolver(effect);
        if (this.#resolver.generation !== this.#generation) {
          this.#generation = this.#resolver.generation;
          this.#forget();
        }
        return;
      case 'endpoint':
        for (const effect of this.#endpoint.handle(work.input, now, wall)) this.#fromEndpoint(effect);
        return;
      case 'gate':
        this.#gate.peerChanged(work.address, this.#at);
        return;
      case 'end':
        this.#apply(this.#ledger.removeAll(), { what: 'end' });
        return;
      default:
        work satisfies never;
    }
  }

  #query(query: number, octets: Uint8Array, limitOctets: number): void {
    this.#count('queries');
    if (this.#stopping) return;
    const decoded = decodeQuery(octets);
    if (decoded.kind === 'drop') return;
    if (decoded.kind === 'error') {
      this.#effects.push({ kind: 'answer', query, octets: decoded.octets });
      return;
    }
    const refuse = (rcode: number, code: number, text: string): void => {
      this.#count('queriesRefused');
      const octets = encodeRefusal(decoded.query, rcode, { code, text }, { limitOctets });
      this.#effects.push({ kind: 'answer', query, octets });
    };
    if (this.#clients.size >= clientsAtOnce) {
      refuse(Rcode.SERVFAIL, Ede.OTHER, 'too many lookups are open');
      return;
    }
    const { question, rd, cd } = decoded.query;
    // Whoever wants no recursion wants to see what others have looked up: unbound and Knot Resolver refuse that too, and
    // RFC 8914 §4.21 has a code for it.
    if (!rd && !this.#local(question)) {
      refuse(
        Rcode.REFUSED,
        Ede.NOT_AUTHORITATIVE,
        'RD is not set, and nothing is answered from the cache alone',
      );
      return;
    }
    this.#clients.set(query, { kind: 'client', query: decoded.query, limitOctets });
    this.#gate.ask(query, this.#isMinimal(question) ? inPlaceOfAny(question) : question, cd, this.#at);
  }

  /** Whether the question is one for ANY that gets a minimal answer; what this host knows by itself is short anyway. */
  #isMinimal(question: Question): boolean {
    return question.type === Type.ANY && this.#options.minimalAny !== false && !this.#local(question);
  }

  #local(question: Question): LocalAnswer | undefined {
    return localAnswer(question, {
      hosts: this.#hosts,
      ownNames: this.#options.ownNames ?? [],
      ownAddresses: this.#locals,
      isNetworkAsked: (name) => this.#isNetworkAsked(name),
    });
  }

  /** Whether a zone of the routes claims the name, signatures of ours cover it, or a resolver inside is asked for all. */
  #isNetworkAsked(name: NameKey): boolean {
    const { upstreams, zones = [] } = this.#routes;
    const claims = [...zones.map((z) => z.name), ...this.#options.anchors.map((a) => a.owner)];
    if (claims.some((claim) => claim !== rootName && isBelow(name, claim))) return true;
    return (
      this.#options.mode !== 'recurse' &&
      upstreams.some(({ endpoint: { address } }) => isPrivateUse(address) || isLocalOnly(address))
    );
  }

  /** A lookup for `oe why`: both address types, nobody waits for the octets. */
  #look(request: number, name: NameKey): void {
    const look = { open: 2 };
    for (const type of [Type.A, Type.AAAA]) {
      const waiter = -this.#nextId++;
      this.#clients.set(waiter, { kind: 'look', request, look });
      this.#gate.ask(waiter, { name, type, class: Class.IN }, false, this.#at);
    }
  }

  #release(waiter: number, outcome: Outcome, keep: Keep | undefined): void {
    const client = this.#clients.get(waiter);
    this.#clients.delete(waiter);
    if (!client) return;
    if (client.kind === 'look') {
      client.look.open--;
      if (client.look.open === 0) this.#effects.push({ kind: 'looked', request: client.request });
      return;
    }
    const { question } = client.kind === 'dig' ? client : client.query;
    const told = this.#isMinimal(question) ? minimalOutcome(question.name, outcome) : outcome;
    if (client.kind === 'dig') {
      const { now, wall } = this.#at;
      const zonesTo = (name: NameKey): readonly ZoneEntry[] => this.#resolver.zonesTo(name, now, wall);
      const dig = digOf(question, told, now - client.at, zonesTo);
      this.#effects.push({ kind: 'dug', request: client.request, dig });
      return;
    }
    this.#countAnswer(outcome);
    const octets = answerOctets(client.query, told, client.limitOctets);
    this.#effects.push({ kind: 'answer', query: waiter, octets, ...(keep && { keep }) });
  }

  #countAnswer(outcome: Outcome): void {
    this.#count('answers');
    if (outcome.kind === 'refuse') this.#count('answersRefused');
    else if (outcome.resolution.verdict.status === 'bogus') this.#count('answersBogus');
    else if (outcome.resolution.fromCache) this.#count('answersFromCache');
  }

  #lookup(question: Question, checkingDisabled: boolean): number {
    const id = this.#nextId++;
    this.#work.push({ to: 'resolver', input: { kind: 'lookup', id, question, checkingDisabled } });
    return id;
  }

  #fromResolver(effect: ResolverEffect): void {
    switch (effect.kind) {
      case 'ask':
      case 'release':
        this.#effects.push(effect);
        return;
      case 'arrived':
        this.#gate.arrived(effect.id, effect.answer, this.#at);
        return;
      case 'resolved':
        if (!this.#peerKeys.resolved(effect.id, effect.resolution)) {
          const told = this.#nat64.resolved(effect.id, effect.resolution, this.#at.now);
          if (told) this.#gate.resolved(effect.id, told, this.#at);
        }
        return;
      case 'keepAnchors':
      case 'keepCache':
      case 'flushed':
      case 'fetchAnchors':
        this.#effects.push(effect);
        return;
      case 'log':
        this.#log(effect.event);
        return;
      default:
        effect satisfies never;
    }
  }

  #fromEndpoint(effect: EndpointEffect): void {
    switch (effect.kind) {
      case 'send':
      case 'allocateSpi':
      case 'keyLog':
        this.#effects.push(effect);
        return;
      case 'log':
        this.#log(effect.event);
        return;
      case 'install':
        this.#install(effect.child, effect.part);
        return;
      case 'remove':
        this.#peers.removed(effect.child, this.#at);
        this.#watch(effect.child.peer);
        this.#peers.story(effect.child.peer, `SA removed: ${effect.why}`, this.#at);
        this.#apply(this.#ledger.remove(effect.child), { what: 'other' });
        return;
      case 'move':
        this.#apply(this.#ledger.move(effect.child), { what: 'other' });
        return;
      case 'askPeerKeys':
        this.#peerKeys.ask(effect.query, effect.peer, effect.id);
        return;
      case 'established':
        this.#count('established');
        this.#peers.established(effect.child, effect.peerAuth, effect.attempt, effect.suite, this.#at);
        this.#watch(effect.child.peer);
        return;
      case 'failed':
        this.#count('failed');
        this.#peers.failed(effect.attempt, effect.code, effect.why, this.#at);
        return;
      case 'story':
        this.#peers.story(effect.peer, effect.text, { now: effect.at, wall: this.#at.wall });
        return;
      default:
        effect satisfies never;
    }
  }

  /** Its SAs are others now. */
  #watch(address: IpAddress): void {
    const peer = this.#peers.find(address);
    if (peer) this.#watching.changed(peer, this.#at.now);
  }

  /** Has the counters read that are due. */
  #countTraffic(): void {
    if (this.#stopping) return;
    const request = this.#nextId++;
    const states = this.#watching.ask(request, this.#at.now);
    if (states.length > 0) this.#effects.push({ kind: 'count', request, states });
  }

  #install(child: ChildSa, part: 'inbound' | 'outbound' | 'both'): void {
    const live = this.#peers.find(child.peer)?.live ?? [];
    const room = roomFor(child, this.#ledger.neighbours(child), live);
    const why = this.#stopping
      ? 'oe is stopping'
      : (this.#peers.refusal(child, this.#at.now) ??
        unproved(this.#keeper.rules.policy, child) ??
        (room.ok ? undefined : room.why));
    if (why !== undefined) {
      this.#count('refusedByRule');
      this.#peers.story(child.peer, `the SA is not taken: ${why}`, this.#at);
      this.#log({ level: 'warn', event: 'child.refused', peer: child.peer, why });
      this.#drop(child, why);
      return;
    }
    if (room.ok) {
      for (const other of room.displaces)
        this.#drop(other, 'a host behind the same NAT has proved who it is');
    }
    this.#apply(this.#ledger.install(child, part), { what: 'child', child, part });
  }

  /** The child is not to be in the kernel, whatever an earlier part of it has put there. */
  #drop(child: ChildSa, why: string, refused = false): void {
    this.#peers.removed(child, this.#at);
    this.#watch(child.peer);
    this.#apply(this.#ledger.remove(child, refused), { what: 'other' });
    this.#work.push({ to: 'endpoint', input: { kind: 'installFailed', child, why } });
  }

  #apply(ops: readonly KernelOp[], batch: Batch): void {
    if (ops.length === 0 && batch.what === 'other') return;
    const id = this.#nextId++;
    this.#batches.set(id, batch);
    this.#effects.push({ kind: 'apply', batch: id, ops });
  }

  /** The kernel's word about an `apply`; `refusal`: why it did not take it. */
  #settled(id: number, refusal?: string): void {
    const batch = this.#batches.get(id);
    this.#batches.delete(id);
    if (refusal !== undefined) {
      this.#count('kernelRefused');
      this.#log({ level: 'error', event: 'kernel.refused', why: refusal });
    }
    switch (batch?.what) {
      case 'child':
        if (refusal === undefined) {
          this.#work.push({ to: 'endpoint', input: { kind: 'installed', child: batch.child } });
        } else {
          this.#peers.story(batch.child.peer, `the kernel refused the SA: ${refusal}`, this.#at);
          this.#drop(batch.child, refusal, true);
        }
        return;
      case 'block':
        for (const address of batch.addresses) {
          this.#blocked(address, refusal === undefined ? 'stands' : 'refused');
        }
        return;
      case 'end':
        this.#effects.push({ kind: 'stopped' });
        return;
      case 'policy': {
        const { request, addresses, change } = batch;
        for (const address of addresses) this.#blocked(address, refusal === undefined ? 'stands' : 'refused');
        this.#effects.push({ kind: 'policyChanged', request, change, refusal });
        return;
      }
      case 'other':
      case undefined:
        return;
      default:
        batch satisfies never;
    }
  }

  /** `whole`: with everything that was agreed with the peer, so that what is begun next begins from nothing. */
  #end(child: ChildSa, why: string, whole: boolean): void {
    this.#peers.story(child.peer, `SA removed: ${why}`, this.#at);
    this.#drop(child, why);
    if (whole) {
      const { local, peer } = child;
      this.#work.push({ to: 'endpoint', input: { kind: 'leave', local, peer, why } });
    }
  }

  #blocked(address: IpAddress, block: 'stands' | 'refused' | 'full'): void {
    const peer = this.#peers.find(address);
    if (peer) peer.block = block;
    this.#work.push({ to: 'gate', address });
  }

  /** Brings the kernel's standing rules in line: resolvers, what configuration says by prefix, private hosts. */
  #applyRules(batch: Batch): void {
    const { policy } = this.#keeper.rules;
    const resolvers = this.#resolvers();
    const rules = standingRules({
      policy,
      resolvers,
      locals: this.#locals,
      blocks: this.#keeper.blocks.all(),
    });
    this.#apply(this.#ledger.setRules(rules), batch);
  }

  #datagram(input: Extract<AgentInput, { kind: 'datagram' }>): void {
    const { address } = input.remote;
    const peer = this.#peers.find(address);
    // Who answers us may always speak; who begins must be let in by the rules.
    if (peer?.attempt === undefined && (peer?.live.length ?? 0) === 0) {
      const decision = decideInbound(this.#keeper.rules.policy, address);
      const closed = this.#exempt(address) ?? this.#unavailable(address);
      if (closed !== undefined || !admits(decision)) {
        this.#count('ikeRefused');
        this.#log({ level: 'debug', event: 'ike.refused', peer: address, why: closed ?? decision.why });
        return;
      }
    }
    this.#work.push({ to: 'endpoint', input });
  }

  #kernelEvent(event: KernelEvent): void {
    switch (event.kind) {
      case 'expire':
        this.#work.push({
          to: 'endpoint',
          input: { kind: 'expired', spi: event.state.spi, hard: event.hard },
        });
        return;
      case 'mapping':
        this.#work.push({
          to: 'endpoint',
          input: {
            kind: 'mapping',
            local: event.state.destination,
            peer: event.address,
            spi: event.state.spi,
            port: event.port,
          },
        });
        return;
      case 'acquire':
        return;
      case 'overrun':
        this.#log({ level: 'warn', event: 'kernel.overrun' });
        this.#effects.push({ kind: 'takeStock', version: this.#ledger.version });
        return;
      default:
        event satisfies never;
    }
  }

  /** Events of the kernel were lost: what they would have told is found out from what is there. */
  #compare(version: number, snapshot: KernelSnapshot): void {
    if (this.#stopping) return;
    if (version !== this.#ledger.version) {
      // The kernel has been told something since.
      this.#effects.push({ kind: 'takeStock', version: this.#ledger.version });
      return;
    }
    const { lost, ops } = this.#ledger.compare(snapshot);
    if (lost.length + ops.length > 0) {
      this.#log({ level: 'warn', event: 'kernel.differs', lost: lost.length, repaired: ops.length });
    }
    this.#apply(ops, { what: 'other' });
    for (const { spi } of lost)
      this.#work.push({ to: 'endpoint', input: { kind: 'expired', spi, hard: true } });
  }

  #exempt(address: IpAddress): string | undefined {
    return exemption(address, this.#locals, this.#resolvers());
  }

  /**
   * Whom we ask, always in reach; but a host that is private by its name stays so when the network calls it a resolver.
   */
  #resolvers(): IpAddress[] {
    return serverAddresses(this.#routes).filter((address) => !this.#keeper.blocks.has(address));
  }

  /** Why nothing can be protected for addresses of this family, as a clause. */
  #unavailable(address: IpAddress): string | undefined {
    const { esp4, esp6, suites } = this.#options.capabilities;
    const esp = address.family === 4 ? esp4 : esp6;
    if (!esp.available) return esp.why.replace(/\.$/, '');
    return suites.length === 0 ? 'the kernel has no encryption algorithm that ESP can use' : undefined;
  }

  #forget(): void {
    this.#effects.push({ kind: 'forget' });
  }

  #count(what: string): void {
    this.#counters[what] = (this.#counters[what] ?? 0) + 1;
  }

  #log(event: LogEvent): void {
    this.#effects.push({ kind: 'log', event });
  }
}

/** One thing that a part has to do because of what another did. */
type Work =
  | { readonly to: 'resolver'; readonly input: ResolverInput }
  | { readonly to: 'endpoint'; readonly input: EndpointInput }
  /** Something about the peer is different. */
  | { readonly to: 'gate'; readonly address: IpAddress }
  /** Take everything out of the kernel. */
  | { readonly to: 'end' };

/** Who waits for an outcome of the gate. */
type Client =
  | { readonly kind: 'client'; readonly query: ClientQuery; readonly limitOctets: number }
  | { readonly kind: 'look'; readonly request: number; readonly look: { open: number } }
  | { readonly kind: 'dig'; readonly request: number; readonly question: Question; readonly at: Instant };

/** What the kernel's word about an `apply` means. */
type Batch =
  | { readonly what: 'child'; readonly child: ChildSa; readonly part: 'inbound' | 'outbound' | 'both' }
  | { readonly what: 'block'; readonly addresses: readonly IpAddress[] }
  | {
      readonly what: 'policy';
      readonly request: number;
      readonly change: PolicyChange;
      readonly addresses: readonly IpAddress[];
    }
  | { readonly what: 'end' }
  | { readonly what: 'other' };

/** Local programs can make us wait for their sake; this many at a time (THREATS A.26). */
const clientsAtOnce = 10_000;
