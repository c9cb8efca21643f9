import { encodeIpseckey, encodePublicKey, type Ipseckey } from '../../src/dns/ipseckey.ts';
import { parseHosts } from '../../src/dns/hosts.ts';
import { localAnswer } from '../../src/dns/local-names.ts';
import { nameOf, nameText, type NameKey } from '../../src/dns/name.ts';
import type { Secure, Verdict } from '../../src/dns/dnssec/verdict.ts';
import type { Question } from '../../src/dns/message.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import type { Keep } from '../../src/dns/wire-cache.ts';
import { Class, Type, typeName } from '../../src/dns/types.ts';
import type { ChildSa, PeerAuth } from '../../src/ike/child.ts';
import type { EndpointInput } from '../../src/ike/endpoint.ts';
import { formatAddress, parseAddress, type IpAddress } from '../../src/net/address.ts';
import type { PublicKey } from '../../src/net/public-key.ts';
import { Gate } from '../../src/oe/gate.ts';
import type { Outcome } from '../../src/oe/lookup.ts';
import type { Moment } from '../../src/oe/peer.ts';
import { defaultPeerLimits, Peers } from '../../src/oe/peers.ts';
import { parseMatch, type Group, type Policy, type Rule } from '../../src/oe/policy.ts';
import { instant, wallSeconds } from '../../src/time.ts';

export const start = 1_800_000_000;

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(text);
  return parsed;
}

export function name(text: string): NameKey {
  const parsed = nameOf(text);
  if (parsed === undefined) throw new RangeError(text);
  return parsed;
}

/** An Ed25519 key that is told apart by its first octet; nobody signs with it here. */
export function key(first: number): PublicKey {
  return { kind: 'eddsa', curve: 'Ed25519', point: new Uint8Array(32).fill(first) };
}

export function policyWith(
  rules: readonly (readonly [match: string, group: Group, auth?: string])[],
  outbound: Group = 'private-or-clear',
): Policy {
  return {
    rules: rules.map(([text, group, auth], i): Rule => {
      const match = parseMatch(text);
      if (!match) throw new RangeError(text);
      return { match, group, text, place: i + 1, ...(auth !== undefined && { auth }) };
    }),
    outbound,
    inbound: 'clear-or-private',
  };
}

export function addressSet(owner: string, ...addresses: readonly string[]): RRset {
  const parsed = addresses.map(address);
  const type = parsed[0]?.family === 6 ? Type.AAAA : Type.A;
  return {
    owner: name(owner),
    type,
    class: Class.IN,
    ttl: 300,
    rdatas: parsed.map((a) => a.octets),
    signatures: [],
  };
}

export function keySet(owner: string, records: readonly (PublicKey | Ipseckey)[], ttl = 300): RRset {
  const rdatas = records.map((r) => encodeIpseckey('gateway' in r ? r : keyRecord(r)));
  return { owner: name(owner), type: Type.IPSECKEY, class: Class.IN, ttl, rdatas, signatures: [] };
}

export function keyRecord(
  publicKey: PublicKey,
  gateway: Ipseckey['gateway'] = { kind: 'none' },
  precedence = 10,
): Ipseckey {
  return { precedence, gateway, ...encodePublicKey(publicKey) };
}

/** Only a test may claim that something is secure: the validator has its own. */
export function secure(...answer: readonly RRset[]): Resolution {
  return resolution(answer, { status: 'secure', data: answer as unknown as Secure<readonly RRset[]> });
}

export function insecure(from: string, ...answer: readonly RRset[]): Resolution {
  return resolution(answer, { status: 'insecure', data: answer, from });
}

export function bogus(why: string): Resolution {
  return { ...resolution([], { status: 'bogus', ede: 6, why }), rcode: 2 };
}

export function indeterminate(why: string): Resolution {
  return { ...resolution([], { status: 'indeterminate', ede: 22, why }), rcode: 2 };
}

function resolution(answer: readonly RRset[], verdict: Verdict<readonly RRset[]>): Resolution {
  return { rcode: 0, answer, authority: [], verdict, ede: undefined, fromCache: false, tookMs: 3, chain: [] };
}

let nextChild = 1;

export function childTo(peer: string, peerAuth: PeerAuth): ChildSa {
  const id = nextChild++;
  return {
    id,
    local: address(peer.includes(':') ? '2001:2::1' : '198.18.1.2'),
    peer: address(peer),
    mode: 'transport',
    suite: { encr: 20, keyBits: 256 },
    esn: true,
    inbound: { spi: 0x1000 + id, encryptionKey: new Uint8Array(36) },
    outbound: { spi: 0x2000 + id, encryptionKey: new Uint8Array(36) },
    peerAuth,
  };
}

export interface StageOptions {
  readonly policy?: Policy;
  readonly budgetMs?: number;
  readonly privateBudgetMs?: number;
  readonly exempt?: (address: IpAddress) => string | undefined;
  readonly unavailable?: (address: IpAddress) => string | undefined;
  readonly knownInsecure?: readonly string[];
  /** The text of the hosts file. */
  readonly hosts?: string;
}

/**
 * A gate and its table of peers with everything else played by hand: questions are answered with `answer`, IKE speaks
 * with `established` and `failed`, the kernel with `block`, and time passes with `pass`.
 */
export class Stage {
  readonly peers: Peers;
  readonly gate: Gate;
  /** What the agent was asked to do, in words, in order. */
  readonly trace: string[] = [];
  readonly outcomes = new Map<number, Outcome>();
  /** For which waiters the answer may be given again without the gate. */
  readonly keeps = new Map<number, Keep>();
  readonly ike: EndpointInput[] = [];
  /** Whether a block is confirmed as soon as it is asked for. */
  blockAtOnce = true;
  readonly #questions = new Map<number, Question>();
  readonly #work: (() => void)[] = [];
  #nextId = 1;
  #nextWaiter = 1;
  #now = 1_000;

  constructor(options: StageOptions = {}) {
    const budgetMs = options.budgetMs ?? 1_500;
    this.peers = new Peers(
      {
        endpoint: (input) => {
          this.ike.push(input);
          this.trace.push(
            `ike ${input.kind}${'peer' in input && input.kind === 'initiate' ? ` ${formatAddress(input.peer)}${input.keys ? ' with keys' : ''}` : ''}`,
          );
        },
        findSource: (peer) => {
          this.#work.push(() => {
            this.peers.source(peer, address(peer.family === 4 ? '198.18.1.2' : '2001:2::1'), this.at);
          });
        },
        changed: (peer) => {
          this.#work.push(() => {
            this.gate.peerChanged(peer, this.at);
          });
        },
      },
      { ...defaultPeerLimits, budgetMs },
    );
    this.gate = new Gate(
      {
        lookup: (question) => {
          const id = this.#nextId++;
          this.#questions.set(id, question);
          this.trace.push(`ask ${typeName(question.type)} ${nameText(question.name)}`);
          return id;
        },
        cancel: (id) => {
          this.#questions.delete(id);
        },
        local: (question) =>
          localAnswer(question, {
            hosts: parseHosts(options.hosts ?? ''),
            ownNames: [],
            ownAddresses: [],
          }),
        cached: () => undefined,
        knownInsecure: (n) => options.knownInsecure?.includes(nameText(n)) === true,
        block: (peer) => {
          this.trace.push(`block ${formatAddress(peer)}`);
          if (this.blockAtOnce) this.block(formatAddress(peer), 'stands');
        },
        replace: (peer) => {
          this.trace.push(`replace ${formatAddress(peer)}`);
        },
        release: (waiter, outcome, keep) => {
          this.trace.push(`release ${outcome.kind}`);
          this.outcomes.set(waiter, outcome);
          if (keep) this.keeps.set(waiter, keep);
        },
        warn: (event) => {
          this.trace.push(`warn ${event}`);
        },
      },
      this.peers,
      {
        policy: options.policy ?? policyWith([]),
        budgetMs,
        privateBudgetMs: options.privateBudgetMs ?? 4_000,
        exempt: options.exempt ?? (() => undefined),
        unavailable: options.unavailable ?? (() => undefined),
      },
    );
  }

  get at(): Moment {
    return { now: instant(this.#now), wall: wallSeconds(start + Math.floor(this.#now / 1_000)) };
  }

  /** A program asks; the number names its wait. */
  ask(text: string, type: number = Type.A, checkingDisabled = false): number {
    const waiter = this.#nextWaiter++;
    this.gate.ask(waiter, { name: name(text), type, class: Class.IN }, checkingDisabled, this.at);
    this.#settle();
    return waiter;
  }

  /** The resolver has an answer to the oldest open question of this name and type. */
  answer(text: string, type: number, resolution: Resolution): void {
    const id = this.#idOf(text, type);
    this.#questions.delete(id);
    this.gate.resolved(id, resolution, this.at);
    this.#settle();
  }

  /** An answer is there, not validated yet. */
  arrived(text: string, type: number, ...answer: readonly RRset[]): void {
    this.gate.arrived(this.#idOf(text, type), answer, this.at);
    this.#settle();
  }

  /** Whether the question is still open. */
  isAsked(text: string, type: number): boolean {
    return [...this.#questions.values()].some((q) => nameText(q.name) === text && q.type === type);
  }

  established(child: ChildSa): void {
    const attempt = this.peers.find(child.peer)?.attempt?.id;
    this.peers.established(child, child.peerAuth, attempt, 'AES-GCM-16-256', this.at);
    this.#settle();
  }

  failed(peer: string, code: string, why = 'it did not work'): void {
    const attempt = this.peers.find(address(peer))?.attempt;
    if (!attempt) throw new Error(`no attempt with ${peer}`);
    this.peers.failed(attempt.id, code, why, this.at);
    this.#settle();
  }

  block(peer: string, state: 'stands' | 'refused'): void {
    this.#work.push(() => {
      const found = this.peers.find(address(peer));
      if (found) found.block = state;
      this.gate.peerChanged(address(peer), this.at);
    });
  }

  settle(): void {
    this.#settle();
  }

  pass(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.gate.deadline;
      if (!due || due.at > end) break;
      this.#now = Math.max(this.#now, due.at);
      this.gate.tick(this.at);
      this.#settle();
    }
    this.#now = end;
  }

  /** The addresses that the program gets, in order; or the RCODE. */
  result(waiter: number): string[] | { readonly rcode: number; readonly text: string } | undefined {
    const outcome = this.outcomes.get(waiter);
    if (!outcome) return undefined;
    if (outcome.kind === 'refuse') return { rcode: outcome.rcode, text: outcome.ede.text };
    const { answer } = outcome.reduced ?? outcome.resolution;
    return answer.flatMap((s) =>
      s.type === Type.A || s.type === Type.AAAA ? s.rdatas.map((r) => formatAddress(addressFrom(r))) : [],
    );
  }

  #idOf(text: string, type: number): number {
    for (const [id, q] of this.#questions) if (nameText(q.name) === text && q.type === type) return id;
    throw new Error(`${typeName(type)} of ${text} is not asked`);
  }

  #settle(): void {
    for (let work = this.#work.shift(); work !== undefined; work = this.#work.shift()) work();
  }
}

function addressFrom(octets: Uint8Array): IpAddress {
  return { family: octets.length === 4 ? 4 : 6, octets };
}
