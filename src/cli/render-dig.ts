import { timingText, type Dig, type DigZone } from '../oe/dig.ts';
import { printable } from '../oe/text.ts';
import { paint, wrapped, type Colour, type Look } from './terminal.ts';

/** `oe dig NAME` for people: the records first, then the verdict, then the tree of zones that led to it. */
export function renderDig(dig: Dig, look: Look): string {
  const title = `${paint(look, 'bold', printable(dig.name))} ${printable(dig.type)}`;
  const flags = dig.flags.join(' ');
  const lines = [
    `${title}: ${dig.rcode}, ${paint(look, colours[dig.status], dig.status)}, ${timingText(dig)} (flags ${flags})`,
    `  ${wrapped(look, printable(dig.sentence), 2)}`,
  ];
  if (dig.ede !== null) {
    const { code, name, text } = dig.ede;
    const more = dig.sentence.includes(text) ? '' : `: ${text}`;
    lines.push(`  ${wrapped(look, printable(`Extended DNS Error ${code} (${name})${more}`), 2)}`);
  }
  if (dig.answer.length > 0) lines.push('', heading(look, 'Answer'), ...records(dig.answer));
  if (dig.authority.length > 0) lines.push('', heading(look, 'Authority'), ...records(dig.authority));
  if (dig.chain.length > 0) {
    lines.push('', heading(look, 'Chain of trust'));
    for (const zone of dig.chain) lines.push(...zoneLines(zone, look, '  '));
  }
  if (dig.asked.length > 0) {
    lines.push('', heading(look, 'Asked for it'));
    for (const { question, from, trace } of dig.asked) {
      lines.push(`  ${printable(question)}: ${from === null ? 'no answer' : `from ${printable(from)}`}`);
      for (const line of trace) lines.push(paint(look, 'dim', `    ${printable(line)}`));
    }
  }
  return `${lines.join('\n')}\n`;
}

const colours: Readonly<Record<Dig['status'], Colour>> = {
  secure: 'green',
  insecure: 'yellow',
  indeterminate: 'yellow',
  bogus: 'red',
  refused: 'red',
};

function zoneLines(zone: DigZone, look: Look, indent: string): string[] {
  const keys = zone.keys.map((k) => `${k.tag} ${k.algorithm}`).join(', ');
  const details = [
    ...(keys === '' ? [] : [`keys ${keys}`]),
    ...(zone.signedUntil === null
      ? []
      : [`signed until ${zone.signedUntil.slice(0, 16).replace('T', ' ')} UTC`]),
  ];
  return [
    `${indent}${paint(look, 'bold', printable(zone.zone))} ${paint(look, colours[zone.status], zone.status)}${details.length > 0 ? `  ${printable(details.join('; '))}` : ''}`,
    paint(look, 'dim', `${indent}  ${printable(zone.sentence)}`),
    ...zone.proves.map((sentence) => `${indent}  ${printable(sentence)}`),
    ...zone.below.flatMap((below) => zoneLines(below, look, `${indent}  `)),
  ];
}

function records(texts: readonly string[]): string[] {
  return texts.map((text) => `  ${printable(text)}`);
}

function heading(look: Look, text: string): string {
  return paint(look, 'bold', text);
}
