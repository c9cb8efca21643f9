import type { Availability } from './port.ts';

/** What the system says about a module that the kernel did not have when asked. */
export interface ModuleFacts {
  /** `uname -r`. */
  readonly release: string;
  /** E.g. `esp4`. */
  readonly module: string;
  /** The option that builds it, e.g. `CONFIG_INET_ESP`. */
  readonly option: string;
  /** `y`, `m`, `n`; undefined where the kernel's configuration cannot be read. */
  readonly built: 'y' | 'm' | 'n' | undefined;
  /** Whether the kernel loads modules at all (/proc/modules is there). */
  readonly modular: boolean;
  /** /proc/sys/kernel/modules_disabled is set. */
  readonly loadingDisabled: boolean;
  /** Whether /lib/modules/RELEASE knows the module; undefined where that directory is not there. */
  readonly onDisk: boolean | undefined;
  /** Lines of modprobe.d that keep it out. */
  readonly blocks: readonly { readonly file: string; readonly line: string }[];
}

/** One sentence with the cause and one with the remedy: why `what` is missing where `facts` hold. */
export function explainMissing(what: string, facts: ModuleFacts): Availability {
  const { module, release, option } = facts;
  const missing = (why: string, remedy: string): Availability => ({
    available: false,
    why: `${what} is unavailable: ${why}.`,
    remedy,
  });
  const [block] = facts.blocks;
  if (block) {
    return missing(
      `module ${module} is blocked by ${block.file} (${block.line})`,
      `Remove that line if nothing depends on it, then run: modprobe ${module}`,
    );
  }
  if (facts.built === 'n' || !facts.modular) {
    return missing(
      facts.built === 'n'
        ? `kernel ${release} was built without ${option}`
        : `kernel ${release} loads no modules and has no ${module} built in`,
      `Boot a kernel with ${option}, for instance the distribution's own.`,
    );
  }
  if (facts.loadingDisabled) {
    return missing(
      `module ${module} is not loaded and loading is switched off (kernel.modules_disabled = 1)`,
      `Load ${module} at boot, before that switch: echo ${module} > /etc/modules-load.d/oe.conf`,
    );
  }
  if (facts.onDisk === undefined) {
    return missing(
      `there are no modules for the running kernel ${release} (/lib/modules/${release})`,
      `Reboot into the installed kernel; in a container, load the module on the host: modprobe ${module}`,
    );
  }
  if (!facts.onDisk) {
    return missing(
      `module ${module} is not installed for kernel ${release}`,
      `Install the package with the rest of the modules (linux-modules-extra-${release} on Ubuntu, kernel-modules on Fedora).`,
    );
  }
  return missing(
    `module ${module} is installed but the kernel did not load it`,
    `Run: modprobe ${module}, and see what it or dmesg says.`,
  );
}

/** The lines of a modprobe.d file that keep `module` out: `blacklist M`, `install M …` (modprobe.d(5)). */
export function blockingLines(text: string, module: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => {
      const [word, name] = line.split(/\s+/);
      return (word === 'blacklist' || word === 'install') && name?.replaceAll('-', '_') === module;
    });
}
