import { duration, printable } from '../oe/text.ts';
import type { Why, WhyPeer, WhyQuestion } from '../oe/why.ts';
import { columns, paint, wrapped, type Look } from './terminal.ts';

/** `oe why NAME` for people: the verdict first, then the chain that led to it. */
export function renderWhy(why: Why, look: Look): string {
  const lines: string[] = [];
  const colour = {
    encrypted: 'green',
    clear: 'yellow',
    blocked: 'red',
    negotiating: 'dim',
    failed: 'red',
  } as const;
  const word = why.verdict.state === 'blocked' ? 'BLOCKED' : why.verdict.state;
  lines.push(
    `${paint(look, 'bold', printable(why.name))}: ${paint(look, colour[why.verdict.state], word)}`,
    `  ${wrapped(look, printable(why.verdict.sentence), 2)}`,
  );
  if (why.verdict.remedy !== null)
    lines.push(`  What to do: ${wrapped(look, printable(why.verdict.remedy), 2)}`);
  lines.push('', heading(look, 'Rule'), `  ${wrapped(look, printable(why.rule), 2)}`);
  if (why.questions.length > 0) lines.push('', heading(look, 'Asked and proved'));
  for (const question of why.questions) lines.push(...questionLines(question, look));
  if (why.keys.length > 0) {
    lines.push('', heading(look, 'Keys published (IPSECKEY)'));
    lines.push(
      ...columns(
        why.keys.map((k) => [
          `  ${k.used ? 'used' : 'not used'}`,
          `precedence ${k.precedence}`,
          printable(k.key),
          `gateway ${printable(k.gateway)}`,
          printable(k.reason),
        ]),
      ),
    );
  }
  for (const peer of why.peers) lines.push('', ...peerLines(peer, look));
  if (why.steps.length > 0) {
    lines.push('', heading(look, `The lookup, from ${why.at}`));
    lines.push(...columns(why.steps.map((s) => [`  ${after(s.afterMs)}`, printable(s.text)])));
  }
  return `${lines.join('\n')}\n`;
}

function questionLines(q: WhyQuestion, look: Look): string[] {
  const how = q.fromCache ? 'from the cache' : `in ${duration(q.tookMs)}`;
  const lines = [`  ${printable(q.name)} ${q.type}: ${q.rcode}, ${q.status}, ${how}`];
  if (q.why !== null) lines.push(`    ${wrapped(look, printable(q.why), 4)}`);
  for (const answer of q.answers) lines.push(`    ${printable(clipped(answer))}`);
  for (const step of q.chain) lines.push(paint(look, 'dim', `      ${printable(step)}`));
  return lines;
}

function peerLines(peer: WhyPeer, look: Look): string[] {
  const lines = [
    heading(look, `Peer ${printable(peer.address)}`),
    `  ${peer.state === 'blocked' ? 'BLOCKED' : peer.state}: ${wrapped(look, printable(peer.reason), 2)}`,
  ];
  if (peer.spiIn !== null) {
    lines.push(
      ...(peer.keyExchanges === null
        ? []
        : [
            `  keys: ${printable(peer.keyExchanges.join(' + '))}${peer.postQuantum === true ? ', post-quantum' : ''}`,
          ]),
      `  kernel: in ${peer.spiIn}, out ${peer.spiOut ?? '?'}, ${peer.suite ?? '?'}, ${peer.mode ?? '?'} mode`,
    );
  }
  lines.push(...columns(peer.story.map((s) => [`  ${after(s.afterMs)}`, printable(s.text)])));
  return lines;
}

function heading(look: Look, text: string): string {
  return paint(look, 'bold', text);
}

function after(ms: number): string {
  return ms < 0 ? `${duration(-ms)} before` : `+${duration(ms)}`;
}

/** Keys are long; their beginning is enough to recognise them. */
function clipped(text: string): string {
  return text.length > 160 ? `${text.slice(0, 150)}…` : text;
}
