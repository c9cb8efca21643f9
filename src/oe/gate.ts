import { isSpecialName, type LocalAnswer } from '../dns/local-names.ts';
import type { Question } from '../dns/message.ts';
import { nameText, type NameKey } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import type { RRset } from '../dns/rrset.ts';
import { Class, Ede, Rcode, rcodeName, Type, typeName } from '../dns/types.ts';
import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { earliest, later, type Deadline, type Instant } from '../time.ts';
import { addressesAtOnce, addressStates, type AddressState } from './address-states.ts';
import { addressesIn, hasAddresses, keyTtl, ordered } from './addresses.ts';
import type { GateDoors, GateOptions } from './gate-doors.ts';
import { giveUpEarly, leastKeySeconds, noteClaims } from './claims.ts';
import { findingOf, isOpen } from './key-search.ts';
import { keepOf } from './keep.ts';
import {
  aliasesOf,
  deadlineOf,
  from,
  lookupKey,
  releaseText,
  remember,
  step,
  type Lookup,
  type LookupRecord,
  type Outcome,
  type Service,
} from './lookup.ts';
import type { Moment } from './peer.ts';
import type { Peers } from './peers.ts';
import {
  hasProofs,
  planOf,
  wantedKey,
  type KeyFinding,
  type Plan,
  type Reason,
  type WantedAddress,
} from './plan.ts';
import { asksForKeys, begins, decideFor, mayNeedKeys, type Decision } from './policy.ts';
import { overdueReason, plainVerdict } from './reasons.ts';
import { ServiceHosts } from './service-hosts.ts';
import { hasHints, hostOf, isService, judgeService, rulesOf } from './services.ts';
import { counted, duration, listed } from './text.ts';

/**
 * The gate holds a DNS answer with addresses until the way to them is protected, or until it is known that it will
 * not be, or until the time for it is up.
 *
 * A lookup asks for the addresses and for IPSECKEY at the same moment. When a key has *arrived*, IKE_SA_INIT leaves,
 * while the chain of signatures is still being checked; when it is *secure*, IKE gets it. The answer is released when
 * the kernel has confirmed an SA, with the protected address first. Names without a key are released as soon as both
 * answers are there. Lookups of the same question share one record, and the records are what `oe why` prints.
 */
export class Gate {
  readonly #doors: GateDoors;
  readonly #peers: Peers;
  readonly #options: GateOptions;
  readonly #open = new Map<string, Lookup>();
  readonly #ids = new Map<number, Pending>();
  readonly #finished = new Map<string, Lookup>();
  /** Names whose IPSECKEY question stayed without an answer in time, so that the next lookup does not wait again. */
  readonly #mute = new Map<NameKey, Instant>();
  readonly #services: ServiceHosts;

  constructor(doors: GateDoors, peers: Peers, options: GateOptions) {
    this.#doors = doors;
    this.#peers = peers;
    this.#options = options;
    this.#services = new ServiceHosts(options, {
      lookUp: (question, onBehalf, at) => this.#lookUp(question, false, onBehalf, at),
      open: () => this.#open.size,
    });
  }

  /** Looks up for `waiter`; the outcome comes through `doors.release`, perhaps before this returns. */
  ask(waiter: number, question: Question, checkingDisabled: boolean, at: Moment): void {
    this.#lookUp(question, checkingDisabled, this.#services.servedBy(question.name, at), at, waiter);
  }

  /** The lookup of the question, for `waiter` or for nobody; it may be over when this returns. */
  #lookUp(
    question: Question,
    checkingDisabled: boolean,
    onBehalf: NameKey | undefined,
    at: Moment,
    waiter?: number,
  ): Lookup {
    const key = lookupKey(question, checkingDisabled, onBehalf);
    const open = this.#open.get(key);
    if (open) {
      if (waiter !== undefined) open.waiters.push(waiter);
      return open;
    }
    const lookup: Lookup = {
      key,
      question,
      checkingDisabled,
      onBehalf,
      waiters: waiter === undefined ? [] : [waiter],
      dependents: new Set(),
      service: undefined,
      outcome: undefined,
      at,
      steps: [],
      resolution: undefined,
      addressId: undefined,
      keyId: undefined,
      keyResolution: undefined,
      keyState: 'asking',
      local: undefined,
      arrived: { addresses: [], key: false },
      early: new Map(),
      evidence: new Map(),
      evidenceAsked: new Set(),
      evidenceIds: new Set(),
      plan: undefined,
      heldSince: undefined,
      waitUntil: undefined,
      keyWaitUntil: undefined,
      verdict: undefined,
      released: undefined,
    };
    this.#open.set(key, lookup);
    this.#begin(lookup, at);
    return lookup;
  }

  /** An answer has arrived, not validated yet. */
  arrived(id: number, answer: readonly RRset[], at: Moment): void {
    const pending = this.#ids.get(id);
    if (!pending) return;
    const { lookup } = pending;
    if (pending.what === 'address') lookup.arrived.addresses = addressesIn(answer);
    if (pending.what === 'key' && answer.some((s) => s.type === Type.IPSECKEY)) lookup.arrived.key = true;
    this.#prepare(lookup, at);
  }

  /** The lookup `id` is answered; one that is not (or no longer) ours is ignored. */
  resolved(id: number, resolution: Resolution, at: Moment): void {
    const pending = this.#ids.get(id);
    if (!pending) return;
    this.#ids.delete(id);
    const { lookup } = pending;
    switch (pending.what) {
      case 'address':
        lookup.addressId = undefined;
        this.#addressResolved(lookup, resolution, at);
        break;
      case 'key':
        lookup.keyId = undefined;
        this.#keyResolved(lookup, resolution, at);
        break;
      case 'evidence':
        lookup.evidenceIds.delete(id);
        lookup.evidence.set(
          pending.evidence,
          resolution.verdict.status === 'secure' ? addressesIn(resolution.answer) : [],
        );
        break;
      default:
        pending satisfies never;
    }
    this.#advance(lookup, at);
  }

  /** Something about a peer is different: an SA stands, an attempt failed, a block is in the kernel. */
  peerChanged(address: IpAddress, at: Moment): void {
    const text = formatAddress(address);
    for (const lookup of [...this.#open.values()]) {
      if (lookup.plan?.addresses.some((a) => formatAddress(a.address) === text) === true)
        this.#advance(lookup, at);
    }
  }

  tick(at: Moment): void {
    for (const lookup of [...this.#open.values()]) {
      const due = deadlineOf(lookup);
      if (due !== undefined && due.at <= at.now) this.#advance(lookup, at);
    }
  }

  get deadline(): Deadline | undefined {
    return earliest([...this.#open.values()].map(deadlineOf));
  }

  /** The lookups of `name` that are known, latest kind first: what is open, then what was. */
  recordsOf(name: NameKey): LookupRecord[] {
    const all = [...this.#open.values(), ...this.#finished.values()];
    const found = new Map<number, LookupRecord>();
    for (const record of all) {
      if (record.question.name === name && !found.has(record.question.type))
        found.set(record.question.type, record);
    }
    return [...found.values()];
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** How many names were reached in the clear because they publish no key, among those remembered. */
  get clearNames(): number {
    return this.namesWith('no-key').length;
  }

  /** The remembered names whose answer went out in the clear for this reason. */
  namesWith(code: string): NameKey[] {
    const names = new Set<NameKey>();
    for (const r of this.#finished.values()) {
      if (r.verdict?.state === 'clear' && r.verdict.reason.code === code) names.add(r.question.name);
    }
    return [...names];
  }

  #begin(lookup: Lookup, at: Moment): void {
    const { question, checkingDisabled } = lookup;
    const { policy } = this.#options;
    const decision = this.#decide(lookup, undefined);
    if (decision.group === 'block') {
      this.#refuse(lookup, at, Rcode.NXDOMAIN, {
        code: 'rule-block',
        why: `${nameText(question.name)} is not looked up: ${decision.why}.`,
        remedy: 'Change the rule in the configuration if that is not what you want.',
        ede: Ede.BLOCKED,
      });
      return;
    }
    const local = this.#doors.local(question);
    if (local) {
      this.#answeredHere(lookup, local, at);
      return;
    }
    const wantsKeys =
      question.class === Class.IN &&
      hasAddresses(question.type) &&
      rulesOf(lookup).some((name) => mayNeedKeys(policy, name));
    if (!wantsKeys) {
      lookup.keyState = 'notWanted';
    } else if (decision.group !== 'private' && this.#doors.knownInsecure(question.name)) {
      lookup.keyState = 'knownInsecure';
      step(lookup, at, `IPSECKEY is not asked: the zone is known not to be signed`);
    }
    // Both questions leave at the same moment: a name without a key costs no round trip more than it would without us.
    const address = this.#doors.cached(question, checkingDisabled);
    if (address) this.#addressResolved(lookup, address, at);
    else lookup.addressId = this.#lookup(lookup, question, checkingDisabled, 'address');
    if (lookup.keyState === 'asking') {
      const isAsked = this.#askForKey(lookup, at);
      const asked = [...(address ? [] : [typeName(question.type)]), ...(isAsked ? ['IPSECKEY'] : [])];
      if (asked.length > 0) step(lookup, at, `asked for ${listed(asked)} of ${nameText(question.name)}`);
    } else if (!address) {
      step(lookup, at, `asked for ${typeName(question.type)} of ${nameText(question.name)}`);
    }
    this.#advance(lookup, at);
  }

  /** Whether it had to be asked for. */
  #askForKey(lookup: Lookup, at: Moment): boolean {
    const question: Question = { name: lookup.question.name, type: Type.IPSECKEY, class: Class.IN };
    const key = this.#doors.cached(question, false);
    if (key) this.#keyResolved(lookup, key, at);
    else lookup.keyId = this.#lookup(lookup, question, false, 'key');
    return key === undefined;
  }

  /** The rules for the name, its aliases and the address, as far as they are known. */
  #decide(lookup: Lookup, address: IpAddress | undefined): Decision {
    return decideFor(this.#options.policy, rulesOf(lookup), address, aliasesOf(lookup));
  }

  /** Whether a key is wanted that was not asked for: a name that the lookup came to is `private`, or the rules are new. */
  #wantsKeyNow(lookup: Lookup, addresses: readonly IpAddress[]): boolean {
    if (lookup.keyState !== 'notWanted' || lookup.question.class !== Class.IN) return false;
    return addresses.some((address) => {
      const { group, rule } = this.#decide(lookup, address);
      return asksForKeys(group) && rule?.auth === undefined;
    });
  }

  /** The rules are others: what is open is judged by them, and nothing that was planned holds. */
  policyChanged(at: Moment): void {
    for (const lookup of [...this.#open.values()]) {
      lookup.plan = undefined;
      lookup.service = undefined;
      this.#advance(lookup, at);
    }
  }

  /** What was told of addresses not long ago, or is about to be. */
  plans(): readonly { readonly lookup: Lookup; readonly plan: Plan }[] {
    return [...this.#finished.values(), ...this.#open.values()].flatMap((lookup) =>
      lookup.plan ? [{ lookup, plan: lookup.plan }] : [],
    );
  }

  /** Nothing is asked, no key either: what a hosts file says must not lead to one (THREATS A.9). The rules hold. */
  #answeredHere(lookup: Lookup, local: LocalAnswer, at: Moment): void {
    lookup.local = local;
    lookup.keyState = 'local';
    lookup.resolution = local.resolution;
    step(lookup, at, `${typeName(lookup.question.type)} is answered by this host: ${local.why}`);
    this.#advance(lookup, at);
  }

  #lookup(lookup: Lookup, question: Question, checkingDisabled: boolean, what: 'address' | 'key'): number {
    const id = this.#doors.lookup(question, checkingDisabled);
    this.#ids.set(id, { lookup, what });
    return id;
  }

  #addressResolved(lookup: Lookup, answered: Resolution, at: Moment): void {
    // Of all that there is, what leads to other hosts is left out: RFC 8482 §4.1 lets us choose.
    const isAny = lookup.question.type === Type.ANY;
    const resolution = isAny
      ? { ...answered, answer: answered.answer.filter((s) => !isService(s.type)) }
      : answered;
    lookup.resolution = resolution;
    lookup.heldSince = at.now;
    lookup.arrived.addresses = addressesIn(resolution.answer);
    const found = lookup.arrived.addresses.map(formatAddress);
    const none = resolution.rcode === 0 ? 'no such record' : rcodeName(resolution.rcode);
    const what =
      found.length > 0
        ? listed(found)
        : resolution.answer.length > 0
          ? counted(
              resolution.answer.reduce((n, s) => n + s.rdatas.length, 0),
              'record',
            )
          : none;
    step(
      lookup,
      at,
      `${typeName(lookup.question.type)} is ${resolution.verdict.status}${from(resolution)}: ${what}`,
    );
  }

  #keyResolved(lookup: Lookup, resolution: Resolution, at: Moment): void {
    lookup.keyResolution = resolution;
    lookup.keyState = 'known';
    const count = resolution.answer.reduce((n, s) => n + (s.type === Type.IPSECKEY ? s.rdatas.length : 0), 0);
    const { verdict } = resolution;
    const what =
      verdict.status === 'bogus' || verdict.status === 'indeterminate'
        ? verdict.why
        : count > 0
          ? counted(count, 'key')
          : 'no key is published';
    step(lookup, at, `IPSECKEY is ${verdict.status}${from(resolution)}: ${what}`);
  }

  /** Lets IKE_SA_INIT leave early, where addresses and a key have arrived and the rules want protection. */
  #prepare(lookup: Lookup, at: Moment): void {
    if (!lookup.arrived.key || lookup.keyState !== 'asking' || lookup.plan) return;
    for (const address of lookup.arrived.addresses.slice(0, addressesAtOnce)) {
      if (lookup.early.has(formatAddress(address))) continue;
      if (this.#options.exempt(address) !== undefined || this.#options.unavailable(address) !== undefined)
        continue;
      const decision = this.#decide(lookup, address);
      // Where anybody will do, IKE_AUTH has no key to wait for.
      if (!begins(decision) || decision.require === 'anonymous') continue;
      lookup.early.set(formatAddress(address), address);
      step(
        lookup,
        at,
        `a key has arrived, not validated yet: IKE_SA_INIT to ${formatAddress(address)} need not wait for that`,
      );
      this.#peers.prepare(address, at);
    }
  }

  /** Goes as far as what is known allows. */
  #advance(lookup: Lookup, at: Moment): void {
    if (lookup.released !== undefined) return;
    const { resolution } = lookup;
    if (!resolution) {
      this.#prepare(lookup, at);
      return;
    }
    if (isService(lookup.question.type) && resolution.answer.some((s) => isService(s.type))) {
      this.#advanceService(lookup, resolution, at);
      return;
    }
    const addresses = addressesIn(resolution.answer);
    if (addresses.length === 0) {
      this.#services.warmUp(resolution, at);
      this.#pass(lookup, at, resolution);
      return;
    }
    if (!lookup.plan) {
      if (this.#wantsKeyNow(lookup, addresses)) {
        lookup.keyState = 'asking';
        if (this.#askForKey(lookup, at))
          step(lookup, at, `asked for IPSECKEY of ${nameText(lookup.question.name)} as well`);
      }
      let finding = findingOf(lookup, addresses);
      if (isOpen(finding)) {
        if (!this.#keyIsLate(lookup, at)) {
          this.#prepare(lookup, at);
          if (finding !== 'asking') this.#askForEvidence(lookup, finding.wanted, at);
          return;
        }
        finding = findingOf(lookup, addresses);
      }
      if (isOpen(finding)) return; // never after keyIsLate
      lookup.plan = this.#plan(lookup, addresses, finding, at);
    }
    this.#carryOut(lookup, lookup.plan, resolution, at);
  }

  /** Whether the key, or what decides about it, has been waited for long enough; under `private` it never has. */
  #keyIsLate(lookup: Lookup, at: Moment): boolean {
    const { name } = lookup.question;
    if (this.#decide(lookup, undefined).group === 'private') return false;
    // The address has told meanwhile that its zone is not signed: the key could prove nothing, and many servers of such
    // zones never answer questions of types that they do not know.
    const isUnsigned = lookup.keyState === 'asking' && this.#doors.knownInsecure(name);
    const mute = this.#mute.get(name);
    const budgetMs = isUnsigned ? Math.min(unsignedMs, this.#options.budgetMs) : this.#options.budgetMs;
    lookup.keyWaitUntil ??= mute !== undefined && mute > at.now ? at.now : later(at.now, budgetMs);
    if (at.now < lookup.keyWaitUntil) return false;
    if (isUnsigned) {
      lookup.keyState = 'knownInsecure';
      step(lookup, at, 'IPSECKEY is not waited for: the zone is not signed');
      return true;
    }
    lookup.keyState = 'late';
    remember(this.#mute, name, later(at.now, muteMs), muteNames);
    step(lookup, at, 'whether there is a key was not found out in time');
    return true;
  }

  #askForEvidence(lookup: Lookup, wanted: readonly WantedAddress[], at: Moment): void {
    if (lookup.evidenceIds.size > 0) return;
    let spent = false;
    for (const one of wanted) {
      const key = wantedKey(one);
      if (lookup.evidenceAsked.has(key) || lookup.evidence.has(key)) continue;
      // Whoever names many gateways gets a few of them looked at (THREATS A.12).
      if (lookup.evidenceAsked.size >= evidencePerLookup || isSpecialName(one.name)) {
        lookup.evidence.set(key, []);
        spent = true;
        continue;
      }
      lookup.evidenceAsked.add(key);
      step(lookup, at, `asked for ${typeName(one.type)} of ${nameText(one.name)}, the gateway of a key`);
      const id = this.#doors.lookup({ name: one.name, type: one.type, class: Class.IN }, false);
      lookup.evidenceIds.add(id);
      this.#ids.set(id, { lookup, what: 'evidence', evidence: key });
    }
    if (spent && lookup.evidenceIds.size === 0) this.#advance(lookup, at);
  }

  #plan(lookup: Lookup, addresses: readonly IpAddress[], finding: KeyFinding | undefined, at: Moment): Plan {
    const { name } = lookup.question;
    const { policy, exempt, unavailable, isResolver } = this.#options;
    const { onBehalf } = lookup;
    const { isStale } = lookup.resolution ?? {};
    const aliases = aliasesOf(lookup);
    const plan = planOf({
      name,
      onBehalf,
      aliases,
      policy,
      addresses,
      isStale,
      finding,
      exempt,
      unavailable,
      isResolver,
    });
    giveUpEarly(lookup, plan, this.#peers, at);
    noteClaims(lookup, plan, { doors: this.#doors, peers: this.#peers, exempt }, at);
    if (plan.finding?.kind === 'none' && plan.finding.reason.code === 'key-bogus') {
      this.#doors.warn('gate.key.bogus', { name: nameText(name), why: plan.finding.reason.why });
    }
    return plan;
  }

  /** Holds an answer that leads to other hosts until it is known what it leads to. */
  #advanceService(lookup: Lookup, resolution: Resolution, at: Moment): void {
    const { policy, budgetMs, privateBudgetMs, exempt, isResolver } = this.#options;
    const host = hostOf(lookup.question.name);
    const insist = this.#decide(lookup, undefined).group === 'private';
    if (!lookup.service) {
      lookup.service = this.#services.prepare(resolution, insist ? host : undefined, at);
      if (!insist && !hasHints(resolution)) {
        this.#pass(lookup, at, resolution);
        return;
      }
      lookup.waitUntil = later(at.now, insist ? privateBudgetMs : budgetMs);
      for (const open of openOf(lookup.service)) open.dependents.add(lookup);
    }
    if (openOf(lookup.service).length > 0 && lookup.waitUntil !== undefined && at.now < lookup.waitUntil)
      return;
    const judged = judgeService(resolution, {
      host,
      insist,
      targets: lookup.service.targets,
      groupOf: (target, address) => decideFor(policy, [target, host], address).group,
      isExempt: (address) => exempt(address) !== undefined && !(insist && isResolver?.(address) === true),
    });
    if (judged.kind === 'refused') {
      this.#refuse(lookup, at, Rcode.SERVFAIL, judged.reason);
      return;
    }
    const limits = lookup.service.targets.flatMap((t) =>
      t.lookups.flatMap((l) => (l.outcome?.kind === 'answer' ? (l.outcome.ttlLimit ?? []) : [])),
    );
    const ttl = limits.length === 0 ? {} : { ttlLimit: Math.min(...limits) };
    lookup.verdict = { state: 'empty' };
    if (judged.kind === 'reduced')
      step(lookup, at, `something of the answer is left out: ${judged.reason.why}`);
    const reduced = judged.kind === 'reduced' ? judged.resolution : undefined;
    const only = judged.kind === 'reduced' && judged.strict ? { onlyReduced: judged.reason } : {};
    this.#release(lookup, at, { kind: 'answer', resolution, reduced, ...ttl, ...only });
  }

  #carryOut(lookup: Lookup, plan: Plan, resolution: Resolution, at: Moment): void {
    const { name } = lookup.question;
    const states = addressStates(this.#peers, plan, at);
    const waiting = states.filter((s) => s.kind === 'waiting');
    const protectedOnes = states.filter((s) => s.kind === 'protected');
    if (waiting.length > 0) {
      const insist = plan.addresses.some((a) => a.fate.kind === 'protect' && a.fate.insist);
      if (lookup.waitUntil === undefined) {
        const { budgetMs, privateBudgetMs } = this.#options;
        const whole = insist ? privateBudgetMs : budgetMs;
        const forPeers = Math.max(...waiting.map((s) => (s.peer ? this.#peers.budgetMs(s.peer) : 0)));
        // Waiting for the key has used up some of the whole already.
        const left = Math.max(0, later(lookup.heldSince ?? at.now, whole) - at.now);
        const budget = insist ? left : Math.min(left, forPeers);
        lookup.waitUntil = later(at.now, budget);
        if (budget > 0) step(lookup, at, `the answer is held for ${duration(budget)} at the most`);
      }
      if (protectedOnes.length > 0) {
        const soon = later(at.now, graceMs);
        if (soon < lookup.waitUntil) lookup.waitUntil = soon;
      }
      if (at.now < lookup.waitUntil) return;
      for (const s of waiting) {
        if (s.peer && protectedOnes.length === 0) this.#peers.waitedOut(s.peer, at, at.now - lookup.at.now);
      }
    }
    const usable = states.filter((s) => s.kind === 'protected' || s.kind === 'clear');
    const overdue = waiting.filter((s) => !s.insist);
    if (usable.length === 0 && overdue.length === 0) {
      const reasons = states.flatMap((s) =>
        s.kind === 'refused' ? [s.reason] : s.kind === 'waiting' ? [overdueReason(s.address)] : [],
      );
      this.#refuse(
        lookup,
        at,
        Rcode.SERVFAIL,
        reasons[0] ?? { code: 'blocked', why: `Nothing may pass to ${nameText(name)}.` },
      );
      return;
    }
    const order: AddressState[] = [...protectedOnes, ...states.filter((s) => s.kind === 'clear'), ...overdue];
    const last = states.filter((s) => !order.includes(s));
    const [first] = order;
    if (first?.kind === 'protected') {
      lookup.verdict = { state: 'encrypted', address: first.address };
    } else {
      const reason = first?.kind === 'clear' ? first.reason : overdueReason(first?.address);
      lookup.verdict = { state: 'clear', reason };
    }
    const everything = [...order, ...last].map((s) => s.address);
    const open = last.find((s) => !this.#isBlocked(s.address, plan));
    this.#release(lookup, at, {
      kind: 'answer',
      resolution: ordered(resolution, everything),
      // Whoever validates for himself needs the whole RRset; anybody else is spared what the kernel blocks.
      reduced:
        last.length === 0
          ? undefined
          : ordered(
              resolution,
              order.map((s) => s.address),
              true,
            ),
      ...(open && { onlyReduced: open.kind === 'refused' ? open.reason : overdueReason(open.address) }),
      ...(!hasProofs(plan)
        ? {}
        : { ttlLimit: lookup.verdict.state === 'encrypted' ? protectedTtl(lookup) : retrySeconds }),
    });
  }

  /** The kernel lets nothing pass to the address in the clear: by a rule for its prefix, or for a name's sake. */
  #isBlocked(address: IpAddress, plan: Plan): boolean {
    const { rule } = plan.addresses.find((a) => sameAddress(a.address, address))?.decision ?? {};
    return rule?.match.kind === 'prefix' || this.#peers.find(address)?.block === 'stands';
  }

  /** Nothing in it to protect: goes as it came. */
  #pass(lookup: Lookup, at: Moment, resolution: Resolution): void {
    for (const address of lookup.early.values()) this.#peers.giveUp(address, at, 'the name has no address');
    lookup.verdict = plainVerdict(lookup, resolution);
    this.#release(lookup, at, { kind: 'answer', resolution, reduced: undefined });
  }

  #refuse(lookup: Lookup, at: Moment, rcode: number, reason: Reason): void {
    lookup.verdict = { state: 'blocked', reason };
    this.#release(lookup, at, {
      kind: 'refuse',
      rcode,
      ede: { code: reason.ede ?? Ede.OTHER, text: reason.why },
    });
  }

  #release(lookup: Lookup, at: Moment, outcome: Outcome): void {
    lookup.released = at.now;
    lookup.outcome = outcome;
    for (const id of [lookup.addressId, lookup.keyId, ...lookup.evidenceIds]) {
      if (id === undefined) continue;
      this.#ids.delete(id);
      this.#doors.cancel(id);
    }
    this.#open.delete(lookup.key);
    step(lookup, at, releaseText(lookup, outcome, at));
    this.#finished.delete(lookup.key);
    remember(this.#finished, lookup.key, lookup, recordsKept);
    const keep = keepOf(lookup, outcome, (address) => this.#peers.find(address)?.insist === true);
    for (const waiter of lookup.waiters) this.#doors.release(waiter, outcome, keep);
    lookup.waiters = [];
    const dependents = [...lookup.dependents];
    lookup.dependents.clear();
    for (const dependent of dependents) this.#advance(dependent, at);
  }
}

type Pending =
  | { readonly lookup: Lookup; readonly what: 'address' | 'key' }
  | { readonly lookup: Lookup; readonly what: 'evidence'; readonly evidence: string };

/** Once one address is protected, the others have this long to become so too. */
const graceMs = 30;
const evidencePerLookup = 4;
/** TTL of an answer that went out in the clear although a key is published: the next lookup may do better. */
const retrySeconds = 30;
/**
 * Seconds for which a client may keep an address whose way is protected: an SA ends with its key, and nothing but the
 * next lookup brings it back. Asking us again costs the client no round trip on the wire.
 */
const longestProtectedSeconds = 200;
const recordsKept = 1_024;
/** How long the key of an unsigned zone is waited for once the address is there, so that `oe why` can tell of it. */
const unsignedMs = 50;
const muteMs = 60_000;
const muteNames = 1_024;

function openOf(service: Service): Lookup[] {
  return service.targets.flatMap((t) => t.lookups.filter((l) => l.released === undefined));
}

function protectedTtl({ keyResolution }: Lookup): number {
  return Math.min(longestProtectedSeconds, Math.max(leastKeySeconds, keyTtl(keyResolution)));
}
