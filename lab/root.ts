/**
 * The lab's root file system: Debian trixie with the peers, the name servers and a User-Mode Linux kernel in it,
 * made once with the machine's own apt sources and kept outside the checkout.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** A lab is there, or one sentence says why this machine cannot have one. */
export type LabRoot =
  { readonly ok: true; readonly directory: string } | { readonly ok: false; readonly why: string };

/** Everything that decides what is in the root; a change makes a new one. */
const recipe = {
  suite: 'trixie',
  base: ['ca-certificates', 'iproute2', 'iputils-ping', 'kmod', 'procps'],
  packages: [
    ...[
      'libreswan',
      'unbound',
      'nsd',
      'bind9-utils',
      'bind9-dnsutils',
      'tcpdump',
      'curl',
      'nftables',
      'busybox-static',
    ],
    // Name servers and resolvers of other makes, each with its own signer, to compare verdicts and speed with.
    ...[
      'bind9',
      'knot',
      'knot-dnsutils',
      'knot-dnssecutils',
      'ldnsutils',
      'knot-resolver',
      'dnsmasq-base',
      'dnsperf',
    ],
    // Programs that must work through the stub.
    ...['git', 'openssh-client', 'openssh-server'],
    // What the pinned Node is linked with, and what strongSwan's unpacked programs are.
    ...['libatomic1', 'libstdc++6', 'libgmp10', 'libcap2', 'libsystemd0', 'openssl', 'strace'],
  ],
  /**
   * Debian's packages of the two peers refuse each other, so these are only unpacked, with the libraries that they want:
   * strongSwan 6.1 does ML-KEM, and that of the suite does not.
   */
  beside: [
    ...[
      'libstrongswan',
      'strongswan-libcharon',
      'charon-systemd',
      'strongswan-swanctl',
      'libstrongswan-standard-plugins',
    ],
    ...['libc6', 'libssl3t64', 'libcap2', 'libsystemd0', 'libzstd1', 'zlib1g', 'libgcc-s1'],
  ],
  /** Older user-mode kernels panic on processors with large vector states, so this one comes from unstable. */
  kernel: 'user-mode-linux',
};

/** What only one scenario wants, and half as large as all else. */
const browser = ['chromium-headless-shell', 'fonts-dejavu-core'];

/** Kernel modules that the guest loads, in this order. */
export const modules = [
  ...[
    'xfrm_user',
    'esp4',
    'esp6',
    'gcm',
    'seqiv',
    'ccm',
    'cbc',
    'ctr',
    'hmac',
    'sha256_generic',
    'sha512_generic',
  ],
  ...[
    'chacha20poly1305',
    'veth',
    'bridge',
    'dummy',
    'tun',
    'sch_netem',
    'nf_tables',
    'nft_xfrm',
    'act_ct',
    'nf_conntrack_netlink',
    'cls_flower',
    'sch_ingress',
    'af_packet',
  ],
];

/** Where roots are kept: OE_LAB_CACHE, or /var/cache/oe-lab. */
export function cacheDirectory(): string {
  return process.env['OE_LAB_CACHE'] ?? '/var/cache/oe-lab';
}

/** The root this checkout wants, whether or not it has been made. */
export function rootDirectory(): string {
  const version = createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 12);
  return join(cacheDirectory(), `root-${version}`);
}

/** Finds the root or makes it; `say` gets one line per step that takes long. */
export async function ensureRoot(say: (line: string) => void): Promise<LabRoot> {
  const directory = rootDirectory();
  const obstacle = whyNot();
  if (obstacle !== undefined) return { ok: false, why: obstacle };
  if (existsSync(directory)) return { ok: true, directory };
  mkdirSync(cacheDirectory(), { recursive: true });
  const lock = await takeLock(join(cacheDirectory(), 'lock'), say);
  try {
    if (existsSync(directory)) return { ok: true, directory };
    await build(directory, say);
    return { ok: true, directory };
  } catch (error) {
    return {
      ok: false,
      why: `The lab's root could not be made: ${error instanceof Error ? error.message : String(error)}`,
    };
  } finally {
    lock.kill();
  }
}

/** Finds or makes what lies over the root `directory` where a browser is wanted. */
export async function ensureBrowser(directory: string, say: (line: string) => void): Promise<LabRoot> {
  const version = createHash('sha256').update(JSON.stringify(browser)).digest('hex').slice(0, 6);
  const layer = `${directory}-browser-${version}`;
  if (existsSync(layer)) return { ok: true, directory: layer };
  const lock = await takeLock(join(cacheDirectory(), 'lock'), say);
  try {
    const log = join(cacheDirectory(), 'browser.log');
    writeFileSync(log, '');
    rmSync(`${layer}.making`, { recursive: true, force: true });
    mkdirSync(join(cacheDirectory(), 'mount'), { recursive: true });
    const { environment, configuration } = aptProxies();
    const script = [
      // All that apt changes lands in the upper directory, which is the layer.
      `base='${join(cacheDirectory(), 'mount')}'; root=$base/root`,
      'mount -t tmpfs tmpfs $base; mkdir $base/upper $base/work $root',
      `mount -t overlay -o lowerdir='${directory}',upperdir=$base/upper,workdir=$base/work overlay $root`,
      'mount -t proc proc $root/proc; cp /etc/resolv.conf /etc/hosts $root/etc/',
      'printf "%s" "$APT" >$root/etc/apt/apt.conf.d/99lab',
      'run() { chroot $root env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }',
      `run apt-get update; run apt-get install -y ${browser.join(' ')}; run apt-get clean`,
      'umount $root/proc; umount $root; cd $base/upper',
      'rm -rf var/lib/apt/lists var/cache etc/apt etc/resolv.conf etc/hosts tmp run',
      `cp -a . '${layer}.making'`,
    ].join('\n');
    const apt = `${configuration}Acquire::Check-Valid-Until "false";\nAPT::Install-Recommends "false";\n`;
    await run(
      'Unpacking a browser',
      `unshare --mount sh -exc "$SCRIPT"`,
      { ...environment, APT: apt, SCRIPT: script },
      log,
      say,
    );
    renameSync(`${layer}.making`, layer);
    return { ok: true, directory: layer };
  } catch (error) {
    return {
      ok: false,
      why: `The browser could not be had: ${error instanceof Error ? error.message : String(error)}`,
    };
  } finally {
    lock.kill();
  }
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux') return `The lab needs Linux, and this is ${process.platform}.`;
  if (process.arch !== 'x64')
    return `The lab's kernel is built for amd64, and this machine is ${process.arch}.`;
  if (process.getuid?.() !== 0)
    return 'The lab needs root (it mounts and makes namespaces); run the same command with sudo.';
  if (!spawnSync('unshare', ['--mount', '--pid', '--fork', 'true'], { stdio: 'ignore' }).error) {
    const tried = spawnSync(
      'unshare',
      ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'none', '/mnt'],
      { encoding: 'utf8' },
    );
    if (tried.status !== 0)
      return `The lab may not mount here: ${tried.stderr.trim() || 'unshare was refused'}.`;
  } else {
    return 'The lab needs unshare of util-linux, which is not installed.';
  }
  if (existsSync(rootDirectory())) return undefined;
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).error) {
    return "The lab's root is made with apt, which this machine does not have.";
  }
  return undefined;
}

async function build(directory: string, say: (line: string) => void): Promise<void> {
  const begin = Date.now();
  const temporary = `${directory}.making`;
  const log = join(cacheDirectory(), 'build.log');
  writeFileSync(log, '');
  const step = async (
    what: string,
    command: string,
    environment: Record<string, string> = {},
  ): Promise<void> => {
    await run(what, command, environment, log, say);
  };
  rmSync(temporary, { recursive: true, force: true });
  say(`Making the lab's root file system, once, in ${directory} (about two minutes, 1 GB; log in ${log}).`);

  let site = mirror();
  if (site === undefined) {
    await step('Reading the package lists', 'apt-get update');
    site = mirror();
  }
  if (site === undefined)
    throw new Error("this machine's apt names no Debian archive (set OE_LAB_MIRROR to one).");
  if (spawnSync('debootstrap', ['--version'], { stdio: 'ignore' }).error) {
    await step(
      'Installing debootstrap',
      'apt-get update && apt-get install -y --no-install-recommends debootstrap',
    );
  }
  const proxies = aptProxies();
  await step(
    `Unpacking Debian ${recipe.suite}`,
    `debootstrap --variant=minbase --include=${recipe.base.join(',')} ${recipe.suite} '${temporary}' '${site}'`,
    proxies.environment,
  );

  const inside = (path: string, text: string): void => {
    writeFileSync(join(temporary, path), text);
  };
  inside('etc/apt/sources.list', `deb ${site} ${recipe.suite} main\ndeb ${site} sid main\n`);
  inside('etc/apt/preferences.d/lab', 'Package: *\nPin: release n=sid\nPin-Priority: 50\n');
  inside(
    'etc/apt/apt.conf.d/99lab',
    `${proxies.configuration}Acquire::Check-Valid-Until "false";\nAcquire::Languages "none";\nAPT::Install-Recommends "false";\n`,
  );
  inside(
    'etc/dpkg/dpkg.cfg.d/lab',
    'force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n',
  );
  inside('usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n');
  for (const file of ['/etc/resolv.conf', '/etc/hosts']) {
    if (existsSync(file)) copyFileSync(file, join(temporary, file));
  }
  const chroot = (script: string): string =>
    // A mount namespace of its own: what it mounts is gone with it, however it ends.
    `unshare --mount sh -ec 'mount -t proc proc "${temporary}/proc"; exec chroot "${temporary}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -exc "$0"' '${script}'`;
  await step('Reading its package lists', chroot('chmod 755 /usr/sbin/policy-rc.d; apt-get update'));
  await step(
    'Installing the peers and the name servers',
    chroot(`apt-get install -y ${recipe.packages.join(' ')}`),
  );
  await step('Installing the kernel', chroot(`apt-get install -y ${recipe.kernel}/sid`));
  await step(
    'Unpacking strongSwan beside libreswan',
    chroot(
      `cd /tmp; apt-get download ${recipe.beside.map((name) => `${name}/sid`).join(' ')}; ` +
        `for f in *.deb; do dpkg -x $f /opt/strongswan; rm $f; done; cd /opt/strongswan; ` +
        `for d in lib lib64; do [ -e $d ] || ln -s usr/$d $d; done; mkdir -p proc dev run var; ln -s ../run var/run`,
    ),
  );
  await step(
    'Making the keys of the peers',
    chroot(
      // NSS databases with one host key each: libreswan refuses RSA below 2192 bits.
      'for k in rsa:rsa:3072 client:rsa:2240 ecdsa:ecdsa:; do ' +
        'n=${k%%:*}; r=${k#*:}; t=${r%%:*}; b=${r#*:}; mkdir -p /lab/nss/$n; ipsec initnss --nssdir /lab/nss/$n; ' +
        'ipsec newhostkey --nssdir /lab/nss/$n --keytype $t ${b:+--bits $b}; ' +
        'ipsec showhostkey --nssdir /lab/nss/$n --list >/lab/nss/$n/list; done; ' +
        'v=$(ls /usr/lib/uml/modules); mkdir -p /lib/modules; ln -sfn /usr/lib/uml/modules/$v /lib/modules/$v; depmod $v; ' +
        'apt-get clean; rm -rf /var/lib/apt/lists/*; mkdir -p /lab/out /oe /lab/init',
    ),
  );
  rmSync(join(temporary, 'etc/apt/apt.conf.d/99lab'));
  renameSync(temporary, directory);
  for (const other of readdirSync(cacheDirectory())) {
    if (
      /^root-[0-9a-f]{12}(?:-browser-.*)?$/.test(other) &&
      !join(cacheDirectory(), other).startsWith(directory)
    ) {
      rmSync(join(cacheDirectory(), other), { recursive: true, force: true });
    }
  }
  say(`The lab's root is ready after ${seconds(begin)} s.`);
}

/** The archive that this machine's apt takes Debian from. */
function mirror(): string | undefined {
  const chosen = process.env['OE_LAB_MIRROR'];
  if (chosen !== undefined && chosen !== '') return chosen;
  const listed = spawnSync(
    'apt-get',
    ['indextargets', '--format', '$(SITE) $(RELEASE) $(LABEL)', 'Created-By: Packages', 'Origin: Debian'],
    { encoding: 'utf8' },
  );
  const sites = listed.stdout.split('\n').map((line) => line.split(' '));
  return sites.find(([, release, label]) => label === 'Debian' && !release?.includes('-'))?.[0];
}

function aptProxies(): { readonly environment: Record<string, string>; readonly configuration: string } {
  const environment: Record<string, string> = {};
  let configuration = '';
  for (const scheme of ['http', 'https']) {
    const found = spawnSync('apt-config', ['shell', 'PROXY', `Acquire::${scheme}::Proxy`], {
      encoding: 'utf8',
    });
    const proxy = /PROXY='(.*)'/.exec(found.stdout)?.[1];
    if (proxy === undefined || proxy === '' || proxy === 'DIRECT') continue;
    environment[`${scheme}_proxy`] = proxy;
    configuration += `Acquire::${scheme}::Proxy "${proxy}";\n`;
  }
  return { environment, configuration };
}

/** Runs a shell command with its output in the log, and says that it lives every ten seconds. */
async function run(
  what: string,
  command: string,
  environment: Record<string, string>,
  log: string,
  say: (line: string) => void,
): Promise<void> {
  const begin = Date.now();
  say(`  ${what} …`);
  const output = openSync(log, 'a');
  const child = spawn('sh', ['-c', command], {
    stdio: ['ignore', output, output],
    env: { ...process.env, ...environment, DEBIAN_FRONTEND: 'noninteractive' },
  });
  const alive = setInterval(() => {
    say(`  ${what} … ${seconds(begin)} s`);
  }, 10_000);
  try {
    const code = await ended(child);
    if (code === 0) return;
    const last = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-3).join(' / ');
    throw new Error(`"${what}" ended with ${code} (${last}; all of it in ${log}).`);
  } finally {
    clearInterval(alive);
    closeSync(output);
  }
}

function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}

/** Holds `file` locked for as long as the returned process lives; it ends with ours. */
async function takeLock(file: string, say: (line: string) => void): Promise<ChildProcess> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting = setTimeout(() => {
    say('Waiting for another run that makes the root …');
  }, 1_000);
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('error', reject);
    holder.once('exit', () => {
      reject(new Error('the lock could not be taken.'));
    });
  });
  clearTimeout(waiting);
  return holder;
}

function seconds(begin: number): number {
  return Math.round((Date.now() - begin) / 1000);
}
