import { worstFirst, type PeerStatus, type Status } from '../oe/status.ts';
import { duration, octetCount, printable } from '../oe/text.ts';
import { columns, paint, wrapped, type Look } from './terminal.ts';

/** `oe status` for people. */
export function renderStatus(status: Status, look: Look, nowMs: number): string {
  const lines = [paint(look, 'bold', status.summary)];
  if (status.peers.length > 0) lines.push('', ...peerLines(status.peers, look, nowMs));
  lines.push('', ...healthLines(status, look));
  return `${lines.join('\n')}\n`;
}

/** `encrypted (verified by DNS)`, `clear: …`, `BLOCKED: …`. */
export function stateWords(peer: PeerStatus): string {
  switch (peer.state) {
    case 'encrypted':
      return `encrypted (${voucher[peer.verified ?? 'anonymous']}${peer.postQuantum === true ? ', post-quantum' : ''})`;
    case 'clear':
      return `clear: ${peer.reason}`;
    case 'blocked':
      return `BLOCKED: ${peer.reason}`;
    case 'negotiating':
      return `negotiating: ${peer.reason}`;
    default:
      return peer.state satisfies never;
  }
}

const voucher = {
  dns: 'verified by DNS',
  group: 'member of a private group',
  anonymous: 'peer is anonymous',
} as const;

function peerLines(peers: readonly PeerStatus[], look: Look, nowMs: number): string[] {
  const sorted = worstFirst(peers);
  const cells = sorted.map((peer) => ({
    address: printable(peer.address),
    names: printable(peer.names.slice(0, 2).join(', ') + (peer.names.length > 2 ? ', …' : '')),
    state: paint(look, colourOf(peer), printable(stateWords(peer))),
    counts: peer.state === 'encrypted' ? `${octetCount(peer.bytesOut)} / ${octetCount(peer.bytesIn)}` : '',
    since: ago(peer.since, nowMs),
  }));
  const head = ['ADDRESS', 'NAME', 'SENT / RECEIVED', 'SINCE', 'STATE'].map((h) => paint(look, 'dim', h));
  const wide = columns([head, ...cells.map((c) => [c.address, c.names, c.counts, c.since, c.state])]);
  const plain = (line: string): number => {
    // eslint-disable-next-line no-control-regex
    return line.replaceAll(/\u001b\[\d+m/g, '').length;
  };
  if (wide.every((line) => plain(line) <= look.width)) return wide;
  return cells.flatMap((c) => [
    [c.address, c.names].filter((t) => t !== '').join('  '),
    `    ${wrapped(look, c.state, 4)}`,
    ...(c.counts === '' ? [] : [`    ${c.counts}, since ${c.since}`]),
  ]);
}

function healthLines(status: Status, look: Look): string[] {
  const { health } = status;
  const lines = columns([
    ['Listening on', printable(health.listening.join(', ')) || 'nothing'],
    ['Asking', printable(health.upstreams.join(', ')) || 'nobody'],
    [
      'Host key',
      health.hostKey === null ? 'none: peers that begin meet us anonymously' : printable(health.hostKey),
    ],
    ['ESP', espWords(health.esp)],
    ['Answers', answerWords(health.counters)],
    ['Up for', duration(health.upSeconds * 1_000)],
  ]).map((line) => paint(look, 'dim', line));
  for (const { level, sentence } of health.notes) {
    const text = wrapped(look, printable(sentence), 2);
    lines.push(level === 'warning' ? paint(look, 'yellow', `! ${text}`) : paint(look, 'dim', `  ${text}`));
  }
  for (const complaint of health.complaints) {
    lines.push(paint(look, 'yellow', `! ${wrapped(look, printable(complaint), 2)}`));
  }
  return lines;
}

/** `1204, 61 % of them from the cache; 3 failed DNSSEC validation`. */
function answerWords(counters: Readonly<Record<string, number>>): string {
  const { answersKept = 0, answersFromCache = 0, answersBogus = 0, answersRefused = 0 } = counters;
  const answers = (counters['answers'] ?? 0) + answersKept;
  const cached = answersFromCache + answersKept;
  const parts = [String(answers)];
  if (answers > 0) parts.push(`${Math.round((100 * cached) / answers)} % of them from the cache`);
  if (answersBogus > 0) parts.push(`${answersBogus} failed DNSSEC validation`);
  if (answersRefused > 0) parts.push(`${answersRefused} refused by a rule`);
  return parts.join(', ');
}

function espWords(esp: { readonly ipv4: boolean; readonly ipv6: boolean }): string {
  if (esp.ipv4 && esp.ipv6) return 'IPv4 and IPv6';
  if (esp.ipv4) return 'IPv4 only';
  return esp.ipv6 ? 'IPv6 only' : 'unavailable: nothing can be encrypted (see `oe doctor`)';
}

function colourOf(peer: PeerStatus): 'red' | 'yellow' | 'green' | 'dim' {
  const colours = { blocked: 'red', clear: 'yellow', negotiating: 'dim', encrypted: 'green' } as const;
  return colours[peer.state];
}

function ago(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso);
  return Number.isNaN(ms) ? '?' : duration(Math.max(0, ms));
}
