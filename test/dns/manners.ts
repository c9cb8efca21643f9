/** What upstreams and the networks before them do to answers, for the ladder of ways around it. */
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { changed, type Answers } from './network.ts';
import { withCaseOf, type SignedWorld } from './zone.ts';

export type Manner = 'well' | 'silent' | 'refused' | 'strips' | 'drops' | 'old' | 'invents' | 'iterates';

/** By how they behave, towards what `world` holds at that moment. */
export function upstreamsOf(world: () => SignedWorld): Readonly<Record<Manner, Answers>> {
  const well: Answers = (octets, { transport }) =>
    world().answer(octets, transport === 'udp' ? 'udp' : 'tcp');
  /** A forwarder that knows nothing of DNSSEC. */
  const strips = changed(well, (m) => ({
    ...m,
    answer: m.answer.filter((r) => r.type !== Type.RRSIG),
    authority: m.authority.filter((r) => r.type === Type.SOA),
  }));
  return {
    well,
    silent: () => undefined,
    refused: () => 'refused',
    strips,
    /** A firewall that lets no large datagrams through; keys make the largest ones. */
    drops: (octets, at) => {
      const query = decodeMessage(octets);
      return query.ok && query.value.questions[0]?.type === Type.DNSKEY ? undefined : well(octets, at);
    },
    /** A resolver from before 1999. */
    old: changed(well, ({ edns: _, ...m }) => ({
      ...m,
      rcode: Rcode.FORMERR,
      answer: [],
      authority: [],
    })),
    /** Captive portals give the same address for every name. */
    invents: changed(strips, (m) => ({ ...m, rcode: Rcode.NOERROR })),
    /** A server at the root's address that has every zone of the world. */
    iterates: (octets) => {
      const query = decodeMessage(octets);
      const question = query.ok ? query.value.questions[0] : undefined;
      if (!query.ok || !question) throw new Error('no question');
      const edns = { version: 0, udpSize: 1232, dnssecOk: true, options: [] };
      const said = world().serve(world().zoneNames, question);
      return withCaseOf(octets, encodeMessage({ ...query.value, response: true, ...said, edns }));
    },
  };
}
