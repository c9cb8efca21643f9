import { parseHosts } from '../../src/dns/hosts.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { Agent } from '../../src/oe/agent.ts';
import type { AgentEffect, AgentInput, AgentOptions } from '../../src/oe/agent-types.ts';
import type { KernelOp } from '../../src/kernel/port.ts';
import type { Group } from '../../src/oe/policy.ts';
import { instant } from '../../src/time.ts';
import { queryMessage } from '../dns/query.ts';
import { signingDate, type SignedWorld } from '../dns/zone.ts';
import { anchors, reply, resolverAt } from '../sim/internet.ts';
import { SeededRandom } from '../sim/random.ts';
import { address, name, policyWith } from './stage.ts';

/** What clients here send. */
export const edns = { version: 0, udpSize: 1_232, dnssecOk: false, options: [] };

/** An agent, seen from a program and from the kernel. */
export interface Desk {
  ask(text: string, type?: number, message?: Partial<Message>): Message;
  /** Lets milliseconds pass. */
  pass(milliseconds: number): void;
  /** Whatever else happens to it. */
  tell(input: AgentInput): void;
  /** What the kernel was to do, in order. */
  readonly ops: readonly KernelOp[];
}

/** An agent whose resolver's questions are answered at once. */
export function withRules(
  rules: readonly (readonly [string, Group])[],
  changes: Partial<AgentOptions> = {},
  hosts = '',
  world?: SignedWorld,
): Desk {
  const agent = new Agent({
    locals: [address('198.18.1.2')],
    upstreams: [{ endpoint: resolverAt, transport: 'udp' }],
    anchors: world?.anchors() ?? anchors,
    random: new SeededRandom(1),
    identity: undefined,
    capabilities: {
      esp4: { available: true },
      esp6: { available: true },
      suites: [],
    } as unknown as AgentOptions['capabilities'],
    keyLog: false,
    ports: { ike: 500, natt: 4500 },
    policy: policyWith(rules),
    budgetMs: 100,
    privateBudgetMs: 100,
    ...changes,
  });
  let now = 1_000;
  let asked = 0;
  const answers = new Map<number, Uint8Array>();
  const ops: KernelOp[] = [];
  const input = (what: AgentInput): void => {
    const replies: AgentInput[] = [];
    for (const effect of agent.handle(what, instant(now), signingDate)) follow(effect, replies);
    for (const one of replies) input(one);
  };
  const follow = (effect: AgentEffect, replies: AgentInput[]): void => {
    if (effect.kind === 'answer') answers.set(effect.query, effect.octets);
    if (effect.kind === 'apply') {
      ops.push(...effect.ops);
      replies.push({ kind: 'applied', batch: effect.batch });
    }
    if (effect.kind !== 'ask') return;
    const { transport } = effect.server;
    const octets = world
      ? world.answer(effect.octets, transport === 'udp' ? 'udp' : 'tcp')
      : reply(effect.octets, transport);
    replies.push({ kind: 'reply', ask: effect.ask, octets });
  };
  input({ kind: 'hosts', hosts: parseHosts(hosts) });
  return {
    ops,
    tell: input,
    pass: (milliseconds) => {
      now += milliseconds;
      input({ kind: 'tick' });
    },
    ask: (text, type = Type.A, message = {}) => {
      const query = ++asked;
      const question = { name: name(text), type, class: Class.IN };
      const octets = encodeMessage(
        queryMessage({ id: query, questions: [question], authenticData: true, edns, ...message }),
      );
      input({ kind: 'query', query, octets, limitOctets: 1_232 });
      for (let i = 0; i < 100 && !answers.has(query); i++) {
        now += 50;
        input({ kind: 'tick' });
      }
      const answer = decodeMessage(answers.get(query) ?? new Uint8Array(0));
      if (!answer.ok) throw answer.error;
      return answer.value;
    },
  };
}
