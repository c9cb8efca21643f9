import { isBelow, nameOf, type NameKey } from './name.ts';

/** Where distributions and devices get the time from; names below them are meant as well. */
const wellKnown: readonly NameKey[] = [
  'pool.ntp.org',
  'time.nist.gov',
  'time.google.com',
  'time.cloudflare.com',
  'time.windows.com',
  'time.apple.com',
  'time.facebook.com',
  'ntp.ubuntu.com',
  'ntppool.org',
].flatMap((text) => nameOf(text) ?? []);

/** `name` is that of a time service: one that everybody knows, or of `configured`. */
export function isTimeServer(name: NameKey, configured: readonly NameKey[]): boolean {
  return configured.includes(name) || wellKnown.some((known) => isBelow(name, known));
}

/** The words that name servers in the configuration of chrony and ntpd. */
const directive = /^\s*(?:server|pool|peer)\s+(\S+)/;
/** The same of systemd-timesyncd: a list on one line. */
const list = /^\s*(?:Fallback)?NTP\s*=(.*)$/;

/** The names in `timesyncd.conf`, `chrony.conf` or `ntp.conf`; addresses need no name service. */
export function timeServersIn(text: string): NameKey[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const names = list.exec(line)?.[1]?.trim().split(/\s+/) ?? [directive.exec(line)?.[1] ?? ''];
    return names.flatMap((name) => (/^[\d.]+$|:/.test(name) ? [] : (nameOf(name) ?? [])));
  });
}
