import { expect, test } from 'vitest';
import { blockingLines, explainMissing, type ModuleFacts } from '../../src/kernel/missing.ts';

const facts: ModuleFacts = {
  release: '6.12.0-1-amd64',
  module: 'esp4',
  option: 'CONFIG_INET_ESP',
  built: 'm',
  modular: true,
  loadingDisabled: false,
  onDisk: true,
  blocks: [],
};

test.each<[string, Partial<ModuleFacts>, string]>([
  [
    'blocked',
    { blocks: [{ file: '/etc/modprobe.d/x.conf', line: 'install esp4 /bin/false' }] },
    'module esp4 is blocked by /etc/modprobe.d/x.conf (install esp4 /bin/false)',
  ],
  ['left out of the kernel', { built: 'n' }, 'kernel 6.12.0-1-amd64 was built without CONFIG_INET_ESP'],
  ['no modules at all', { built: undefined, modular: false }, 'loads no modules'],
  ['loading switched off', { loadingDisabled: true }, 'kernel.modules_disabled = 1'],
  ['a kernel was updated, or a container', { onDisk: undefined }, 'no modules for the running kernel'],
  ['a package is missing', { onDisk: false }, 'module esp4 is not installed'],
  ['nothing of that', {}, 'module esp4 is installed but the kernel did not load it'],
])('%s: the cause is told in a sentence, with a remedy', (_, more, cause) => {
  const told = explainMissing('ESP for IPv4', { ...facts, ...more });
  if (told.available) throw new Error('available');
  expect(told.why).toMatch(/^ESP for IPv4 is unavailable: .*\.$/);
  expect(told.why).toContain(cause);
  expect(told.remedy).not.toBe('');
});

test('lines that keep a module out are found, comments and other modules are not', () => {
  const text =
    '# blacklist esp4\nblacklist esp4\n  install esp4 /bin/false\nblacklist esp4_offload\noptions esp4 x=1\n';
  expect(blockingLines(text, 'esp4')).toEqual(['blacklist esp4', 'install esp4 /bin/false']);
});
