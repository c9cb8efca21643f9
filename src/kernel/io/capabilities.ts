import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parseAddress } from '../../net/address.ts';
import { kernelAlgorithms, espSuites } from '../algorithms.ts';
import { larvalReqid } from '../bands.ts';
import { blockingLines, explainMissing } from '../missing.ts';
import type { Availability, Capabilities, EspState, EspSuite } from '../port.ts';

/** Why the kernel did not take a state. */
interface Refusal {
  readonly code: string;
  readonly text: string | undefined;
}

/** What can be done with a state that is there for a moment only. */
interface Scratch {
  readonly attempt: (state: EspState) => Refusal | undefined;
  readonly keepsAlive: (state: EspState) => boolean;
}

/**
 * Tries every suite with a scratch state between documentation addresses, under the reqid of reserved SPIs, which
 * no policy names: it can carry nothing, and should we be killed in between, the next start removes it. Asking
 * the kernel also has it load its modules, as real states would.
 */
export function probeCapabilities(directions: boolean, { attempt, keepsAlive }: Scratch): Capabilities {
  const tried = ([4, 6] as const).map((family) =>
    espSuites.map((suite) => ({ suite, refusal: attempt(scratchState(family, suite)) })),
  );
  const suites = espSuites.filter((suite) =>
    tried.some((family) => family.some((t) => t.suite === suite && t.refusal === undefined)),
  );
  const [esp4, esp6] = tried.map((family, i) =>
    availability(
      i === 0 ? 4 : 6,
      family.map((t) => t.refusal),
    ),
  );
  const [suite] = suites;
  const keepalives =
    suite !== undefined &&
    directions &&
    keepsAlive({
      ...scratchState(esp4?.available === false ? 6 : 4, suite),
      direction: 'out',
      replayWindow: 0,
      encapsulation: { sourcePort: 4500, destinationPort: 4500 },
      keepaliveSeconds: 20,
    });
  return { esp4: esp4 ?? available, esp6: esp6 ?? available, suites, directions, keepalives };
}

function availability(family: 4 | 6, refusals: readonly (Refusal | undefined)[]): Availability {
  if (refusals.includes(undefined)) return available;
  const what = family === 4 ? 'ESP for IPv4' : 'ESP for IPv6';
  if (refusals.some((r) => r?.code === 'EPERM')) {
    return {
      available: false,
      why: `${what} is unavailable: this process lacks CAP_NET_ADMIN.`,
      remedy: 'Run as root, or give the service AmbientCapabilities=CAP_NET_ADMIN.',
    };
  }
  // The kernel looks for algorithms first: one that speaks of the type has found the algorithms.
  if (refusals.some((r) => r?.code === 'EPROTONOSUPPORT' || r?.text?.includes('type not found') === true)) {
    const option = family === 4 ? 'CONFIG_INET_ESP' : 'CONFIG_INET6_ESP';
    return explainMissing(what, factsOf(family === 4 ? 'esp4' : 'esp6', option));
  }
  const said = refusals.find((r) => r?.text !== undefined)?.text ?? refusals[0]?.code ?? '';
  return {
    available: false,
    why: `${what} is unavailable: the kernel has none of the ciphers that oe proposes (it says: ${said.replace(/\.$/, '')}).`,
    remedy: 'Load them: modprobe -a gcm seqiv chacha20poly1305 cbc hmac sha256 authenc echainiv',
  };
}

function scratchState(family: 4 | 6, suite: EspSuite): EspState {
  const [source, destination] = scratchAddresses[family];
  const algorithms = kernelAlgorithms(suite);
  // Keys that differ everywhere, for the sake of algorithms that refuse weak ones.
  const key = (octets: number): Uint8Array => Uint8Array.from({ length: octets }, (_, i) => i * 7 + 1);
  return {
    ...suite,
    direction: 'in',
    source,
    destination,
    spi: 0x0065_6f00,
    reqid: larvalReqid,
    mode: 'transport',
    encryptionKey: key(algorithms?.keyOctets ?? 0),
    ...(algorithms?.kind === 'cipher' && { integrityKey: key(algorithms.authKeyOctets) }),
    esn: true,
    replayWindow: 32,
    // Should it stay, by whatever accident: not for long.
    lifetime: { hardSeconds: 1 },
  };
}

function address(text: string): NonNullable<ReturnType<typeof parseAddress>> {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(text);
  return parsed;
}

const scratchAddresses = {
  4: [address('192.0.2.1'), address('192.0.2.2')],
  6: [address('2001:db8::1'), address('2001:db8::2')],
} as const;

const available: Availability = { available: true };

function factsOf(module: string, option: string): Parameters<typeof explainMissing>[1] {
  const kernel = release();
  const modules = join('/lib/modules', kernel);
  return {
    release: kernel,
    module,
    option,
    built: builtAs(option, kernel),
    modular: existsSync('/proc/modules'),
    loadingDisabled: textOf('/proc/sys/kernel/modules_disabled')?.trim() === '1',
    onDisk: existsSync(modules)
      ? ['modules.dep', 'modules.builtin'].some(
          (file) => textOf(join(modules, file))?.includes(`/${module}.ko`) === true,
        )
      : undefined,
    blocks: modprobeFiles().flatMap((file) =>
      blockingLines(textOf(file) ?? '', module).map((line) => ({ file, line })),
    ),
  };
}

function builtAs(option: string, kernel: string): 'y' | 'm' | 'n' | undefined {
  const text = packedText('/proc/config.gz') ?? textOf(`/boot/config-${kernel}`);
  if (text === undefined) return undefined;
  const value = new RegExp(`^${option}=([ym])$`, 'm').exec(text)?.[1];
  return value === 'y' || value === 'm' ? value : 'n';
}

function modprobeFiles(): string[] {
  return ['/etc/modprobe.d', '/run/modprobe.d', '/usr/lib/modprobe.d', '/lib/modprobe.d'].flatMap(
    (folder) => {
      try {
        return readdirSync(folder)
          .filter((name) => name.endsWith('.conf'))
          .map((name) => join(folder, name));
      } catch {
        return [];
      }
    },
  );
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function packedText(file: string): string | undefined {
  try {
    return gunzipSync(readFileSync(file)).toString('utf8');
  } catch {
    return undefined;
  }
}
