import { Exit, OeError } from '../../errors.ts';
import type { PrivateGroup } from '../../ike/private-group.ts';
import { describeProblems, type Config } from '../config.ts';
import { counted, listed } from '../text.ts';
import type { Log } from './log.ts';
import { samePolicyText } from './rules-file.ts';
import type { Runtime } from './runtime.ts';

/** A configuration that was read, with the file that it is from. */
export interface Loaded {
  readonly config: Config;
  readonly file: string | undefined;
  readonly groups: readonly PrivateGroup[];
}

/** What the control API says of a reload. */
export interface Reloaded {
  readonly version: 1;
  readonly file: string | null;
  /** What is different now, each as a sentence; empty: nothing. */
  readonly changed: readonly string[];
  /** Settings that differ from those that run, and need a restart: `dns.listen`. */
  readonly needRestart: readonly string[];
}

/** Has a running agent take what a configuration says now; throws one {@link OeError}, and nothing has changed then. */
export class Reloader {
  readonly #runtime: Runtime;
  readonly #load: () => Loaded;
  readonly #log: Log;
  readonly #started: Config;
  #running: Config;
  /** One after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(runtime: Runtime, started: Config, load: () => Loaded, log: Log) {
    this.#runtime = runtime;
    this.#started = started;
    this.#running = started;
    this.#load = load;
    this.#log = log;
  }

  /** The configuration whose rules hold. */
  get config(): Config {
    return this.#running;
  }

  reload(): Promise<Reloaded> {
    const turn = this.#queue.then(() => this.#reload());
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async #reload(): Promise<Reloaded> {
    const { config, file } = this.#load();
    this.#demandGroups(config, file);
    const before = this.#running;
    const needRestart = differing(this.#started, config);
    const samePolicy = samePolicyText(before.policy, config.policy);
    const sameBudgets =
      before.gate.budgetMs === config.gate.budgetMs &&
      before.gate.privateBudgetMs === config.gate.privateBudgetMs;
    // What needs a restart stays as it was, in what is told of it too.
    this.#running = { ...before, policy: config.policy, gate: config.gate };
    const changed: string[] = [];
    if (!samePolicy || !sameBudgets) {
      const { policy, gate } = config;
      const { change, refusal } = await this.#runtime.change({ policy, ...gate });
      if (refusal !== undefined) {
        throw new OeError(
          'kernel-refused',
          `The kernel did not take the new rules: ${refusal}.`,
          'See the log and `oe doctor`; a restart puts everything in order.',
          Exit.osError,
        );
      }
      if (!samePolicy) {
        const rules = counted(policy.rules.length, 'rule');
        changed.push(`The list has ${rules} now, and the default is ${policy.outbound}.`);
      }
      if (!sameBudgets) changed.push('Answers wait for as long as [gate] says now.');
      const hosts = (n: number): string => counted(n, 'host');
      if (change.block.length > 0)
        changed.push(`${hosts(change.block.length)} must be protected from now on.`);
      if (change.unblock.length > 0) changed.push(`${hosts(change.unblock.length)} need not be any longer.`);
      if (change.end.length > 0) changed.push(`${counted(change.end.length, 'SA')} ended.`);
    }
    this.#log({
      level: 'info',
      event: 'agent.reloaded',
      changed: changed.join(' '),
      needRestart: needRestart.join(' '),
    });
    return { version: 1, file: file ?? null, changed, needRestart };
  }

  /** A rule may only name a private group that this agent has known from its start. */
  #demandGroups(config: Config, file: string | undefined): void {
    const known = this.#started.ike.auth.map((auth) => auth.name);
    const problems = config.policy.rules.flatMap((rule) =>
      rule.auth === undefined || known.includes(rule.auth)
        ? []
        : [
            {
              line: rule.line,
              problem: `policy.rule[${rule.place}] (${rule.text}) wants members of ${rule.auth}, a group that is new.`,
              remedy: 'New groups need a restart.',
            },
          ],
    );
    if (problems.length === 0) return;
    throw new OeError(
      'restart-needed',
      describeProblems(file ?? 'the configuration', problems),
      'Restart oe, or take these rules out; nothing has changed.',
      Exit.config,
    );
  }
}

/** The settings outside of `[policy]` and `[gate]` that are not the same: `dns.listen`, `paths.run-directory`. */
export function differing(a: Config, b: Config): string[] {
  return (['dns', 'ike', 'paths', 'log'] as const).flatMap((table) => {
    const [x, y] = [a[table], b[table]] as readonly Readonly<Record<string, unknown>>[];
    if (!x || !y) return [];
    return Object.keys(x)
      .filter((key) => textOf(x[key]) !== textOf(y[key]))
      .map((key) => `${table}.${keyNames[key] ?? dashed(key)}`);
  });
}

/** For a person: one fact per line. */
export function reloadedText({ file, changed, needRestart }: Reloaded): string {
  const first =
    changed.length === 0
      ? `Nothing has changed (${file ?? 'there is no configuration file, the defaults apply'}).`
      : changed.join('\n');
  if (needRestart.length === 0) return first;
  const differ = needRestart.length === 1 ? 'differs' : 'differ';
  return `${first}\n${listed(needRestart)} ${differ} from what runs and need${needRestart.length === 1 ? 's' : ''} a restart.`;
}

/** Where the file calls a setting otherwise. */
const keyNames: Readonly<Record<string, string>> = { zones: 'zone', trust: 'trust-anchors' };

function dashed(key: string): string {
  return key.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
}

function textOf(value: unknown): string {
  // Where a table stands in its file is no setting of it.
  return JSON.stringify(value, (key, v: unknown) =>
    key === 'lines' ? undefined : typeof v === 'bigint' ? `${v}` : v,
  );
}
