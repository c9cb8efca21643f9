/** `oe policy` and `oe reload`, without an agent and with one whose kernel is in this process. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { FakeKernel } from '../../src/kernel/fake.ts';
import { formatPrefix } from '../../src/net/prefix.ts';
import { loadConfig } from '../../src/oe/io/config-file.ts';
import { openControl } from '../../src/oe/io/control.ts';
import { systemRandom } from '../../src/oe/io/random.ts';
import { Reloader, type Loaded, type Reloaded } from '../../src/oe/io/reload.ts';
import { controlRoutes } from '../../src/oe/io/routes.ts';
import { Runtime } from '../../src/oe/io/runtime.ts';
import type { PolicyShown, PolicyTested } from '../../src/oe/policy-words.ts';
import { anchors } from '../sim/internet.ts';
import { address } from '../oe/stage.ts';
import { oe } from './capture.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-policy-'));
const config = join(scratch, 'oe.toml');
const cleanups: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  rmSync(scratch, { recursive: true });
});

const rules = `
[[policy.rule]]
match = "10.0.0.0/8"
group = "private"
except = ["tcp/22"]

[[policy.rule]]
match = "*.example.org"
group = "clear"

[[policy.rule]]
match = "evil.example"
group = "block"

[[policy.rule]]
match = "10.1.0.0/16"
group = "clear"
`;

test('without an agent oe policy show prints the rules of the file in words, with lines and remarks', async () => {
  write(rules);
  const { code, stdout } = await oe('policy', 'show', '--config', config);
  expect(code).toBe(0);
  expect(stdout).toContain(`oe is not running; these are from ${config}.`);
  expect(stdout).toContain(
    'Nothing passes unprotected to or from 10.0.0.0/8. In the clear all the same: tcp/22. (line 4)',
  );
  expect(stdout).toContain('Where no rule matches, private-or-clear holds');
  expect(stdout).toContain(`${config}:17: policy.rule[4] (10.1.0.0/16) never matches`);
  const json = JSON.parse((await oe('policy', 'show', '--json', '--config', config)).stdout) as PolicyShown;
  expect(json).toMatchObject({ version: 1, running: false, default: 'private-or-clear' });
  expect(json.rules[0]).toMatchObject({ place: 1, line: 4, match: '10.0.0.0/8', except: ['tcp/22'] });
});

test('oe policy test names the rule, says what would happen, and its exit code tells it to scripts', async () => {
  write(rules);
  const exits = { 'www.example.org': 1, '10.9.9.9': 0, 'evil.example': 77, 'other.example': 0 };
  for (const [subject, exit] of Object.entries(exits)) {
    const { code } = await oe('policy', 'test', subject, '--config', config);
    expect([subject, code]).toEqual([subject, exit]);
  }
  const { stdout } = await oe('policy', 'test', '10.9.9.9', '--config', config);
  expect(stdout).toContain('Nothing would pass to 10.9.9.9 before a peer that proves who it is is there');
  expect(stdout).toContain('Because rule 1 (10.0.0.0/8) says private (line 4).');
  expect(stdout).toContain('oe is not running');
  const ran = await oe('policy', 'test', 'www.example.org', '--json', '--config', config);
  expect(JSON.parse(ran.stdout) as PolicyTested).toMatchObject({
    version: 1,
    group: 'clear',
    rule: { place: 2, line: 9, match: '*.example.org' },
  });
  expect(await oe('policy', 'test', 'a..b', '--config', config)).toMatchObject({ code: 64 });
});

test('oe check tells what is worth a word, and refuses what makes a rule void', async () => {
  write(rules);
  const { code, stdout } = await oe('check', '--config', config);
  expect([code, stdout.split('\n')[1]]).toEqual([0, expect.stringContaining(':17: policy.rule[4]')]);
  write(
    '[[policy.rule]]\nmatch = "*"\ngroup = "clear"\n[[policy.rule]]\nmatch = "10.0.0.1"\ngroup = "private"\n',
  );
  const { code: bad, stderr } = await oe('check', '--config', config);
  expect([bad, stderr]).toEqual([78, expect.stringContaining(':7: policy.rule[2] (10.0.0.1) never matches')]);
});

test('oe reload changes what may change, names what needs a restart, and a mistake changes nothing', async () => {
  write(rules);
  const { kernel } = await running();
  const blocked = (): string[] =>
    kernel
      .snapshotSync()
      .policies.filter((p) => p.action === 'block' && p.direction === 'out')
      .map((p) => formatPrefix(p.destination));
  expect(blocked()).toEqual(['10.0.0.0/8']);
  expect((await oe('reload', '--config', config)).stdout).toBe(`Nothing has changed (${config}).\n`);

  write('[[policy.rule]]\nmatch = "192.0.2.0/24"\ngroup = "block"\n', '[gate]\nbudget-ms = 700\n');
  const { code, stdout } = await oe('reload', '--config', config);
  expect([code, stdout]).toEqual([
    0,
    'The list has 1 rule now, and the default is private-or-clear.\nAnswers wait for as long as [gate] says now.\n',
  ]);
  expect(blocked()).toEqual(['192.0.2.0/24']);
  const shown = JSON.parse((await oe('policy', 'show', '--json', '--config', config)).stdout) as PolicyShown;
  expect(shown).toMatchObject({ running: true, rules: [{ match: '192.0.2.0/24', group: 'block' }] });

  write('[[policy.rule]]\nmatch = "192.0.2.0/25"\ngroup = "blok"\n');
  const mistaken = await oe('reload', '--config', config);
  expect([mistaken.code, mistaken.stderr]).toEqual([
    78,
    expect.stringContaining(`${config}:5: policy.rule[1].group is "blok"`),
  ]);
  expect(blocked()).toEqual(['192.0.2.0/24']);

  const dns = '[dns]\nrate-limit = 7\n[log]\nlevel = "debug"\n';
  write('[[policy.rule]]\nmatch = "192.0.2.0/24"\ngroup = "block"\n', dns);
  const ran = await oe('reload', '--json', '--config', config);
  const told = JSON.parse(ran.stdout) as Reloaded;
  expect(told.needRestart).toEqual(['dns.rate-limit', 'log.level']);

  const auth = '[[ike.auth]]\nname = "fleet"\nmethod = "psk"\npsk-file = "/etc/oe/fleet.psk"\n';
  write('[[policy.rule]]\nmatch = "192.0.2.0/24"\ngroup = "private"\nauth = "fleet"\n', auth);
  const group = await oe('reload', '--config', config);
  expect([group.code, group.stderr]).toEqual([78, expect.stringContaining('New groups need a restart.')]);
  expect(blocked()).toEqual(['192.0.2.0/24']);
});

function write(policy: string, more = ''): void {
  writeFileSync(config, `[paths]\nrun-directory = "${join(scratch, 'run')}"\n${more}${policy}`);
}

/** An agent that runs by the file, with its control socket. */
async function running(): Promise<{ readonly kernel: FakeKernel }> {
  const load = (): Loaded => ({ ...loadConfig(config), groups: [] });
  const { config: started, file } = load();
  const kernel = new FakeKernel({ random: systemRandom });
  const log = (): undefined => undefined;
  const runtime = new Runtime(
    {
      kernel,
      answer: log,
      upstreams: { ask: log, release: log },
      ike: undefined,
      keyLog: log,
      log,
      wallOffset: 0,
    },
    {
      locals: [address('198.18.1.2')],
      upstreams: [],
      anchors,
      random: systemRandom,
      identity: undefined,
      capabilities: await kernel.capabilities(),
      keyLog: false,
      ports: { ike: 500, natt: 4500 },
      policy: started.policy,
      ...started.gate,
    },
  );
  await runtime.start();
  const reloader = new Reloader(runtime, started, load, log);
  const policy = { file, remarks: () => [], reload: () => reloader.reload() };
  const routes = controlRoutes(runtime, policy, () => {
    throw new Error('nobody asks for it');
  });
  const control = await openControl(join(scratch, 'run', 'oe.sock'), () => routes);
  cleanups.push(
    () => runtime.stop(1_000),
    () => control.close(),
  );
  return { kernel };
}
