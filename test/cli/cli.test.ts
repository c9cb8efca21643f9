import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openControl, type Control, type ControlRoutes } from '../../src/oe/io/control.ts';
import { version } from '../../src/version.ts';
import { oe } from './capture.ts';
import { sampleDig, sampleStatus, sampleWhy } from './samples.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-cli-'));
const config = join(scratch, 'oe.toml');
const run = join(scratch, 'run');
let control: Control;
let asked = '';
let routes: ControlRoutes = {};

beforeAll(async () => {
  writeFileSync(
    config,
    `[paths]\nrun-directory = "${run}"\nconfig-directory = "${join(scratch, 'etc')}"\nstate-directory = "${scratch}"\n`,
  );
  routes = {
    '/v1/status': () => ({ ok: true, body: sampleStatus }),
    '/v1/dig': (query) => {
      asked = query.toString();
      const rcode = query.get('name') === 'nobody.example' ? 'NXDOMAIN' : 'NOERROR';
      if (query.get('name') === 'bad.example')
        return { ok: true, body: { ...sampleDig, rcode: 'SERVFAIL', status: 'bogus', answer: [] } };
      return { ok: true, body: { ...sampleDig, rcode, answer: rcode === 'NOERROR' ? sampleDig.answer : [] } };
    },
    'POST /v1/flush': (query) => {
      asked = query.toString();
      return { ok: true, body: { version: 1, flushed: query.get('name') ?? 'all', entries: 12 } };
    },
    '/v1/why': (query) => {
      asked = query.toString();
      if (query.get('name') === 'a..b')
        return { ok: false, status: 400, code: 'name-invalid', message: 'a..b is no name.' };
      if (query.get('name') === 'hostile.example')
        return {
          ok: false,
          status: 400,
          code: 'name-invalid',
          message: 'port held by \u001b]0;x\u0007evil\nhere.',
        };
      return { ok: true, body: sampleWhy };
    },
  };
  control = await openControl(join(run, 'oe.sock'), () => routes);
});

afterAll(async () => {
  await control.close();
  rmSync(scratch, { recursive: true });
});

test('the version is the one of package.json', () => {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(version).toBe(manifest.version);
});

test('THREATS A.24: what others may name gets into errors without being obeyed by the terminal', async () => {
  const { stderr } = await oe('why', 'hostile.example', '--config', config);
  expect(stderr).toContain('port held by \\u{1b}]0;x\\u{7}evil\nhere.');
});

test('every command explains itself with an example', async () => {
  for (const command of [
    ['up'],
    ['status'],
    ['why'],
    ['dig'],
    ['flush'],
    ['key'],
    ['key', 'new'],
    ['key', 'show'],
    ['policy', 'show'],
    ['policy', 'test'],
    ['reload'],
    ['doctor'],
    ['check'],
  ]) {
    const help = await oe(...command, '--help');
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('Examples:');
  }
});

test('a slip in a command or an option is answered with what was meant, and exit code 64', async () => {
  expect(await oe('statsu')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('Did you mean status?') as string,
  });
  expect(await oe('status', '--jsn')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('Did you mean --json?') as string,
  });
});

test('oe status --json is the agent’s own words, versioned', async () => {
  const { code, stdout } = await oe('status', '--json', '--config', config);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(sampleStatus);
});

test('oe status for people puts what needs a look before what is well', async () => {
  const { stdout } = await oe('status', '--config', config);
  expect(stdout.split('\n')[0]).toBe(sampleStatus.summary);
  expect(stdout.indexOf('BLOCKED: no reply')).toBeLessThan(
    stdout.indexOf('encrypted (verified by DNS, post-quantum)'),
  );
  expect(stdout).toContain('3.3 MiB / 1.2 KiB');
});

test('oe flush says how much was forgotten, and does not guess what is meant', async () => {
  expect(await oe('flush', 'example.org', '--tree', '--config', config)).toMatchObject({
    code: 0,
    stdout: 'example.org: 12 entries forgotten.\n',
  });
  expect(asked).toBe('name=example.org&tree=1');
  const { stdout } = await oe('flush', '--all', '--json', '--config', config);
  expect(JSON.parse(stdout)).toEqual({ version: 1, flushed: 'all', entries: 12 });
  for (const unclear of [[], ['example.org', '--all']])
    expect(await oe('flush', ...unclear, '--config', config)).toMatchObject({ code: 64, stdout: '' });
});

test('oe why gives the verdict first, then the chain that led to it', async () => {
  const { code, stdout } = await oe('why', 'oe.libreswan.org', '--fresh', '--config', config);
  expect(code).toBe(0);
  expect(asked).toBe('name=oe.libreswan.org&fresh=1');
  const order = ['encrypted', 'Rule', 'Asked and proved', 'Keys published', 'Peer 198.18.2.10', 'The lookup'];
  const places = order.map((text) => stdout.indexOf(text));
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  expect(places[0]).toBeGreaterThan(-1);
});

test('oe dig ends with 0 where there are records, 1 where there are none, 75 where there is no answer', async () => {
  expect(await oe('dig', 'www.example.org', 'aaaa', '--cd', '--config', config)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Chain of trust') as string,
  });
  expect(asked).toBe('name=www.example.org&type=aaaa&cd=1');
  expect((await oe('dig', 'nobody.example', '--config', config)).code).toBe(1);
  expect((await oe('dig', 'bad.example', '--config', config)).code).toBe(75);
  const { stdout } = await oe('dig', 'www.example.org', '--json', '--config', config);
  expect(JSON.parse(stdout)).toEqual(sampleDig);
});

test('a refusal of the agent ends with its message and a usage code, as JSON where that was asked', async () => {
  expect(await oe('why', 'a..b', '--config', config)).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('a..b is no name') as string,
  });
  const { stdout, code } = await oe('why', 'a..b', '--json', '--config', config);
  expect(code).toBe(64);
  expect(JSON.parse(stdout)).toMatchObject({ version: 1, error: { code: 'name-invalid' } });
});

test('an agent that does not run is told with the remedy, and exit code 69', async () => {
  const other = join(scratch, 'other.toml');
  writeFileSync(other, `[paths]\nrun-directory = "${join(scratch, 'nowhere')}"\n`);
  const { code, stderr } = await oe('status', '--config', other);
  expect(code).toBe(69);
  expect(stderr).toContain('oe is not running');
  expect(stderr).toContain('sudo oe up');
});

test('the control socket is closed to others than its owner and group', () => {
  expect(statSync(join(run, 'oe.sock')).mode & 0o777).toBe(0o660);
});

test('an agent that is starting says so', async () => {
  const before = routes;
  routes = {};
  try {
    expect(await oe('status', '--config', config)).toMatchObject({
      stderr: expect.stringContaining('starting') as string,
    });
  } finally {
    routes = before;
  }
});

test('oe check tells every problem with its line, and ends with 78', async () => {
  const wrong = join(scratch, 'wrong.toml');
  writeFileSync(wrong, '[dns]\nlisten = ["nowhere"]\n[gate]\nbudget-ms = "long"\n');
  const { code, stderr } = await oe('check', '--config', wrong);
  expect(code).toBe(78);
  expect(stderr).toContain(`${wrong}:2`);
  expect(stderr).toContain(`${wrong}:4`);
  const json = await oe('check', '--config', wrong, '--json');
  expect(json.code).toBe(78);
  expect(JSON.parse(json.stdout)).toMatchObject({ version: 1, ok: false, error: { code: 'config-invalid' } });
  expect(await oe('check', '--config', config)).toMatchObject({ code: 0 });
});

test('oe key new makes a key that only its owner can read, and never replaces one unasked', async () => {
  expect(await oe('key', 'show', '--config', config)).toMatchObject({
    code: 69,
    stderr: expect.stringContaining('oe key new') as string,
  });
  const made = await oe('key', 'new', '--type', 'ed25519', '--config', config);
  expect(made.code).toBe(0);
  expect(statSync(join(scratch, 'etc/host-key.pem')).mode & 0o777).toBe(0o600);
  expect(await oe('key', 'new', '--config', config)).toMatchObject({
    code: 73,
    stderr: expect.stringContaining('--replace') as string,
  });
  expect((await oe('key', 'new', '--type', 'ecdsa', '--replace', '--config', config)).stdout).toContain(
    'ECDSA P-256',
  );
});

test('oe key show prints the records to publish, forward and reverse', async () => {
  await oe('key', 'new', '--type', 'ed25519', '--replace', '--config', config);
  const { stdout } = await oe(
    'key',
    'show',
    '--name',
    'www.example.org',
    '--address',
    '198.18.1.2',
    '2001:2::1',
    '--config',
    config,
  );
  expect(stdout).toMatch(/^www\.example\.org\. .*IPSECKEY 10 0 4 \. /m);
  expect(stdout).toMatch(/^2\.1\.18\.198\.in-addr\.arpa\. .*IPSECKEY 10 0 4 \. /m);
  expect(stdout).toMatch(/^1\.0\.0\.[0.]*2\.0\.0\.0\.1\.0\.0\.2\.ip6\.arpa\. .*IPSECKEY/m);
  const json = await oe(
    'key',
    'show',
    '--json',
    '--name',
    'www.example.org',
    '--address',
    '198.18.1.2',
    '--config',
    config,
  );
  expect(JSON.parse(json.stdout)).toMatchObject({
    version: 1,
    key: 'Ed25519',
    records: [{ owner: 'www.example.org' }, { owner: '198.18.1.2' }],
  });
});

test('oe doctor --json is versioned, each check with a stable word, and the exit code says whether all is well', async () => {
  const { code, stdout } = await oe('doctor', '--json', '--config', config);
  const report = JSON.parse(stdout) as {
    version: number;
    ok: boolean;
    checks: { check: string; state: string; remedy: unknown }[];
  };
  expect(report.version).toBe(1);
  expect(code).toBe(report.ok ? 0 : 1);
  expect(report.checks.map((c) => c.check)).toEqual(
    expect.arrayContaining(['other-ike', 'host-key', 'resolv-conf', 'clock']),
  );
  for (const c of report.checks) expect(c.state === 'ok' || typeof c.remedy === 'string').toBe(true);
}, 20_000);
