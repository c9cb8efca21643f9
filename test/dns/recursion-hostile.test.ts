import { expect, test } from 'vitest';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { nameText } from '../../src/dns/name.ts';
import type { Own } from '../../src/dns/own.ts';
import { serverAt } from '../../src/dns/recurse/delegations.ts';
import { recursionDefaults } from '../../src/dns/recurse/limits.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { addressOf, type IpAddress } from '../../src/net/address.ts';
import { limitSettings, limitsOf, type LimitKey } from '../../src/oe/limits.ts';
import {
  a,
  addressesOf,
  answer,
  denial,
  Internet,
  Iteration,
  ns,
  outcomeOf,
  Recursing,
  record,
  referral,
  type AuthoritativeServer,
  type Said,
} from './internet.ts';
import { address, key, wire } from './zone.ts';

const [root, org, evil, victim] = ['192.0.2.1', '192.0.2.2', '192.0.2.66', '192.0.2.7'];

/** Root and org; evil.org and victim.org below. */
function internet(atEvil: AuthoritativeServer, atOrg?: AuthoritativeServer): Internet {
  return new Internet()
    .at(root, (q) =>
      q.name === key('.') ? denial('.') : referral([ns('org', 'ns.org')], [a('ns.org', org)]),
    )
    .at(org, (q, query) => {
      const said = atOrg?.(q, query);
      if (said) return said;
      const name = nameText(q.name);
      if (name.endsWith('evil.org'))
        return referral([ns('evil.org', 'ns.evil.org')], [a('ns.evil.org', evil)]);
      if (name.endsWith('victim.org'))
        return referral([ns('victim.org', 'ns.victim.org')], [a('ns.victim.org', victim)]);
      return denial('org', Rcode.NXDOMAIN);
    })
    .at(evil, atEvil)
    .at(victim, (q) =>
      q.type === Type.A && q.name === key('www.victim.org')
        ? answer(a('www.victim.org', '198.51.100.1'))
        : denial('victim.org', q.name === key('victim.org') ? Rcode.NOERROR : Rcode.NXDOMAIN),
    );
}

function parsed(text: string): IpAddress {
  const found = addressOf(address(text));
  if (!found) throw new Error(text);
  return found;
}

const yes: AuthoritativeServer = (q) => answer({ ...a('x', '198.51.100.66'), owner: q.name });
/** With these records added to its sections. */
function saying(
  said: Said,
  more: Partial<Record<'answer' | 'authority' | 'additional', ResourceRecord[]>>,
): Said {
  return {
    ...said,
    answer: [...(said?.answer ?? []), ...(more.answer ?? [])],
    authority: [...(said?.authority ?? []), ...(more.authority ?? [])],
    additional: [...(said?.additional ?? []), ...(more.additional ?? [])],
  };
}

/** Asks the hostile zone, then for the victim: the victim's servers must be the ones asked. */
function victimAfter(it: Iteration): string[] {
  it.find('www.evil.org');
  it.find('www.evil.org', Type.TXT);
  return addressesOf(it.find('www.victim.org'));
}

const theirs = ['198.51.100.1'];
/** Records about others, which nobody asked for. */
const poison = [
  a('www.victim.org', '203.0.113.66'),
  a('ns.victim.org', evil),
  a('ns.org', evil),
  a('ns', evil),
  ns('victim.org', 'ns.evil.org'),
  ns('org', 'ns.evil.org'),
  ns('.', 'ns.evil.org'),
];

test.each(['answer', 'authority', 'additional'] as const)(
  'records about others in the %s section are not taken',
  (section) => {
    for (const base of [yes, (): Said => denial('evil.org', Rcode.NXDOMAIN)]) {
      const it = new Iteration(internet((q, m) => saying(base(q, m), { [section]: poison })));
      expect(victimAfter(it)).toEqual(theirs);
      const { reply } = it.find('www.evil.org');
      const owners = reply?.kind === 'message' ? [...reply.message.answer, ...reply.message.authority] : [];
      expect(owners.map((r) => nameText(r.owner)).filter((n) => !n.endsWith('evil.org'))).toEqual([]);
      expect(reply?.kind === 'message' && reply.message.additional).toEqual([]);
    }
  },
);

test('a zone cannot take over its own parent or its sister by NS in the authority section (Kaminsky)', () => {
  const it = new Iteration(
    internet((q, m) =>
      saying(yes(q, m), {
        authority: [
          ns('org', 'ns.evil.org'),
          ns('victim.org', 'ns.evil.org'),
          ns('evil.org', 'ns.victim.org'),
        ],
        additional: [a('ns.evil.org', evil), a('ns.victim.org', evil)],
      }),
    ),
  );
  for (let i = 0; i < 20; i++) it.find(`random${i}.evil.org`);
  expect(victimAfter(it)).toEqual(theirs);
});

test('glue counts for the name servers of that referral alone, and only within the zone that refers', () => {
  // evil.org delegates sub.evil.org to a name of victim.org and gives an address for it.
  const it = new Iteration(
    internet((q, m) =>
      nameText(q.name).endsWith('sub.evil.org')
        ? referral(
            [ns('sub.evil.org', 'www.victim.org')],
            [a('www.victim.org', evil), a('ns.victim.org', evil)],
          )
        : yes(q, m),
    ),
  );
  it.find('www.sub.evil.org');
  // The address was looked up instead, from those who know it, and asked.
  expect(it.internet.questions(victim)).toContain('A www.victim.org');
  expect(it.internet.questions(evil)).toEqual(['A sub.evil.org']);
  expect(victimAfter(it)).toEqual(theirs);
});

test('glue that the parent gives serves its delegation and nothing else', () => {
  // Sibling glue: org may say where ns.victim.org is, but that is no answer.
  const it = new Iteration(
    internet(yes, (q) =>
      nameText(q.name).endsWith('evil.org')
        ? referral([ns('evil.org', 'ns.victim.org')], [a('ns.victim.org', evil)])
        : undefined,
    ),
  );
  expect(victimAfter(it)).toEqual(theirs);
});

test('a referral that leads upwards, sideways or nowhere is of no use (lame)', () => {
  const wrong: readonly Said[] = [
    referral([ns('.', 'ns')], [a('ns', root)]),
    referral([ns('org', 'ns.org')], [a('ns.org', org)]),
    referral([ns('evil.org', 'ns.evil.org')], [a('ns.evil.org', evil)]),
    referral([ns('other.evil.org', 'ns.evil.org')], [a('ns.evil.org', evil)]),
    referral([ns('victim.org', 'ns.evil.org')], [a('ns.evil.org', evil)]),
    { authoritative: false },
    { ...denial('.', Rcode.NXDOMAIN) },
    { ...denial('victim.org') },
    { ...denial('other.evil.org') },
    // Of another class.
    referral([{ ...ns('www.evil.org', 'ns.evil.org'), class: 3 }], [a('ns.evil.org', evil)]),
    { authoritative: false, answer: [{ ...a('www.evil.org', '198.51.100.66'), class: 3 }] },
    { rcode: Rcode.REFUSED },
    { rcode: Rcode.SERVFAIL },
    { rcode: 9 },
  ];
  for (const said of wrong) {
    const it = new Iteration(internet(() => said));
    expect(outcomeOf(it.find('www.evil.org'))).toMatch(
      /^no name server of evil\.org is of use: ns\.evil\.org/,
    );
    expect(it.internet.questions(evil).length).toBeLessThanOrEqual(2);
  }
});

test('where some servers of a zone are lame, the others answer, and the lame ones are asked last from then on', () => {
  const lame: readonly AuthoritativeServer[] = [
    () => ({ rcode: Rcode.REFUSED }),
    () => ({ rcode: Rcode.SERVFAIL }),
    () => referral([ns('.', 'ns')]),
    (q) => ({ ...yes(q, undefined as never), authoritative: false }),
  ];
  for (const server of lame) {
    const it = new Iteration(
      internet(server, (q) =>
        nameText(q.name).endsWith('evil.org')
          ? referral(
              [ns('evil.org', 'ns1.evil.org'), ns('evil.org', 'ns2.evil.org')],
              [a('ns1.evil.org', evil), a('ns2.evil.org', '192.0.2.67')],
            )
          : undefined,
      ).at('192.0.2.67', (q) => answer({ ...a('x', '198.51.100.5'), owner: q.name })),
    );
    for (let i = 0; i < 10; i++) expect(addressesOf(it.find(`n${i}.evil.org`))).toEqual(['198.51.100.5']);
    expect(it.internet.questions(evil).length).toBeLessThanOrEqual(2);
  }
});

test('an answer without authority is taken only where nobody has a better one', () => {
  const it = new Iteration(
    internet((q, m) => ({ ...yes(q, m), authoritative: false, recursionAvailable: true })),
  );
  expect(outcomeOf(it.find('www.evil.org'))).toBe('A www.evil.org');
});

test("a ghost: a zone that its parent gave up ends with the parent's TTL, however it renews itself (CVE-2012-1033)", () => {
  let alive = true;
  const it = new Iteration(
    internet(
      (q, m) =>
        saying(yes(q, m), {
          authority: [ns('evil.org', 'ns.evil.org', 86_400)],
          additional: [a('ns.evil.org', evil)],
        }),
      (q) => {
        if (!nameText(q.name).endsWith('evil.org')) return undefined;
        return alive
          ? referral([ns('evil.org', 'ns.evil.org', 600)], [a('ns.evil.org', evil)])
          : denial('org', Rcode.NXDOMAIN);
      },
    ),
  );
  it.find('www.evil.org');
  alive = false;
  for (let minute = 0; minute < 9; minute++) {
    it.wait(60);
    expect(outcomeOf(it.find(`n${minute}.evil.org`))).toMatch(/^A /);
    it.find('evil.org', Type.NS);
  }
  it.wait(61);
  expect(outcomeOf(it.find('www.evil.org'))).toBe('NXDOMAIN');
});

test('a ghost below a ghost: what a zone delegates ends with itself (CVE-2022-30698, CVE-2022-30699)', () => {
  let alive = true;
  const it = new Iteration(
    internet(
      (q, m) =>
        nameText(q.name).endsWith('sub.evil.org')
          ? referral([ns('sub.evil.org', 'ns.sub.evil.org', 86_400)], [a('ns.sub.evil.org', '192.0.2.67')])
          : yes(q, m),
      (q) => {
        if (!nameText(q.name).endsWith('evil.org')) return undefined;
        return alive
          ? referral([ns('evil.org', 'ns.evil.org', 600)], [a('ns.evil.org', evil)])
          : denial('org', Rcode.NXDOMAIN);
      },
    ).at('192.0.2.67', (q, m) =>
      nameText(q.name).startsWith('deeper')
        ? referral(
            [ns('deeper.sub.evil.org', 'ns.sub.evil.org', 86_400)],
            [a('ns.sub.evil.org', '192.0.2.67')],
          )
        : yes(q, m),
    ),
  );
  expect(outcomeOf(it.find('www.sub.evil.org'))).toMatch(/^A /);
  alive = false;
  it.wait(590);
  it.find('x.deeper.sub.evil.org');
  it.wait(20);
  expect(outcomeOf(it.find('www.sub.evil.org'))).toBe('NXDOMAIN');
});

test('NXNS: a delegation to hundreds of names without glue costs the victim a handful of questions (CVE-2020-12662)', () => {
  const names = Array.from({ length: 250 }, (_, i) => ns('sub.evil.org', `nx${i}.victim.org`));
  const it = new Iteration(
    internet((q, m) => (nameText(q.name).endsWith('sub.evil.org') ? referral(names) : yes(q, m))),
  );
  const found = it.find('www.sub.evil.org');
  expect(outcomeOf(found)).toMatch(
    /^\d+ name servers have no address|^no name server of sub\.evil\.org is of use/,
  );
  const cost = it.internet.questions(victim).length;
  const again = it.find('www2.sub.evil.org');
  expect(again.reply?.kind).toBe('failure');
  expect(it.internet.questions(victim).length).toBeLessThanOrEqual(cost);
  expect(cost).toBeLessThanOrEqual(2 * (recursionDefaults.missingTargets + 3));
  expect(cost).toBeGreaterThan(0);
});

test('a delegation to more names than anybody has is not even looked at', () => {
  const names = Array.from({ length: 400 }, (_, i) => ns('sub.evil.org', `nx${i}.victim.org`));
  const it = new Iteration(
    internet((q, m) => (nameText(q.name).endsWith('sub.evil.org') ? referral(names) : yes(q, m))),
  );
  expect(outcomeOf(it.find('www.sub.evil.org'))).toMatch(/sends more than 256 records of sub\.evil\.org NS$/);
  expect(it.internet.questions(victim)).toEqual([]);
});

test('NXNS with names that exist: the quota of server names holds over all levels', () => {
  // Each name server lies in a zone that has name servers of the same kind, and all names are different.
  const it = new Iteration(
    internet((q) => {
      const [zone = ''] = /[^.]+\.evil\.org$/.exec(nameText(q.name)) ?? [];
      if (zone === '') return denial('evil.org');
      return referral(
        Array.from({ length: 20 }, (_, i) => ns(zone, `a.${zone.split('.')[0] ?? ''}${i}.evil.org`)),
      );
    }),
  );
  expect(it.find('www.s.evil.org').reply?.kind).toBe('failure');
  const stats = it.recursion.stats;
  expect(stats['serverNamesLookedUp']).toBeLessThanOrEqual(recursionDefaults.targets);
  expect(it.internet.questions().length).toBeLessThanOrEqual(recursionDefaults.questions + 2);
});

test('the quota is not filled up again on the way, not by referrals and not by shortened names', () => {
  for (const qnameMinimisation of ['off', 'relaxed', 'strict'] as const) {
    // A delegation one label further down at each question.
    let depth = 0;
    const it = new Iteration(
      internet((q) => {
        const labels = nameText(q.name).split('.');
        const cut = labels.slice(-Math.min(labels.length, 3 + depth++)).join('.');
        return referral([ns(cut, `ns.${cut}`)], [a(`ns.${cut}`, evil)]);
      }),
      { limits: { ...recursionDefaults, questionsPerName: 10 }, qnameMinimisation },
    );
    const found = it.find(`${Array.from({ length: 60 }, () => 'a').join('.')}.evil.org`);
    expect(outcomeOf(found)).toBe('it would take more than 10 questions to servers');
    expect(it.internet.questions().filter((q) => q !== 'NS .')).toHaveLength(10);
  }
});

test('all questions of one lookup have one quota, which a second try does not fill up again (CVE-2026-50045)', () => {
  const it = new Iteration(internet(yes), { limits: { ...recursionDefaults, questions: 6 } });
  const lookup = {};
  const outcomes = Array.from({ length: 6 }, (_, i) => {
    const exchange = it.start(`n${i}.evil.org`, Type.A, undefined, lookup);
    it.run();
    return outcomeOf(exchange);
  });
  // Root, org and evil.org the first time, then one each.
  expect(outcomes.map((o) => o.startsWith('A '))).toEqual([true, true, true, true, false, false]);
  expect(outcomes[5]).toBe('it would take more than 6 questions to servers');
  expect(outcomeOf(it.find('n9.evil.org'))).toBe('A n9.evil.org');
});

test('two zones that can only be found by each other are given up at once', () => {
  const it = new Iteration(
    internet(yes, (q) => {
      const name = nameText(q.name);
      if (name.endsWith('one.org')) return referral([ns('one.org', 'ns.two.org')]);
      if (name.endsWith('two.org')) return referral([ns('two.org', 'ns.one.org')]);
      return undefined;
    }),
  );
  const start = it.now;
  expect(outcomeOf(it.find('www.one.org'))).toMatch(/no name server of one\.org is of use/);
  expect(it.now - start).toBeLessThan(1000);
  // Both at once, each waiting for what the other looks up.
  const fresh = new Iteration(it.internet);
  const both = [fresh.start('www.one.org'), fresh.start('www.two.org')];
  fresh.run();
  expect(both.map((e) => e.reply?.kind)).toEqual(['failure', 'failure']);
  expect(fresh.now - 1000).toBeLessThan(1000);
  // The question itself is the one that the way to its answer leads back to.
  const straight = new Iteration(it.internet);
  expect(straight.find('ns.one.org').reply?.kind).toBe('failure');
  expect(straight.now - 1000).toBeLessThan(1000);
});

test('name servers that hang on name servers are followed five times', () => {
  const it = new Iteration(
    internet(yes, (q) => {
      const [, digit] = /z(\d)\.org$/.exec(nameText(q.name)) ?? [];
      if (digit === undefined) return undefined;
      const zone = `z${digit}.org`;
      return digit === '8'
        ? referral([ns(zone, `ns.${zone}`)], [a(`ns.${zone}`, '192.0.2.68')])
        : referral([ns(zone, `ns.z${Number(digit) + 1}.org`)]);
    }).at('192.0.2.68', (q) => answer({ ...a('x', '192.0.2.68'), owner: q.name })),
  );
  expect(outcomeOf(it.find('www.z3.org'))).toBe('A www.z3.org');
  expect(new Iteration(it.internet).find('www.z2.org').reply?.kind).toBe('failure');
});

test('a ring of zones with one way in is found', () => {
  const it = new Iteration(
    internet(yes, (q) => {
      const name = nameText(q.name);
      if (name.endsWith('one.org'))
        return referral([ns('one.org', 'ns.two.org'), ns('one.org', 'ns.victim.org')]);
      if (name.endsWith('two.org')) return referral([ns('two.org', 'ns.one.org')]);
      return undefined;
    }).at(victim, (q, m) =>
      q.name === key('ns.victim.org') && q.type === Type.A ? answer(a('ns.victim.org', victim)) : yes(q, m),
    ),
  );
  const both = [it.start('www.two.org'), it.start('www.one.org')];
  it.run();
  expect(outcomeOf(both[1] ?? it.find('www.one.org'))).toBe('A www.one.org');
});

test('name servers in the zone itself, without glue, are dead', () => {
  const it = new Iteration(
    internet(yes, (q) =>
      nameText(q.name).endsWith('evil.org')
        ? referral([ns('evil.org', 'ns1.evil.org'), ns('evil.org', 'ns2.sub.evil.org')])
        : undefined,
    ),
  );
  expect(outcomeOf(it.find('www.evil.org'))).toBe('no name server of evil.org has an address that is known');
  expect(it.internet.questions(evil)).toEqual([]);
});

test('dead names do not crowd out the one that lives', () => {
  const dead = Array.from({ length: 40 }, (_, i) => ns('evil.org', `ns${i}.evil.org`));
  for (let i = 0; i < 5; i++) {
    const it = new Iteration(
      internet(yes, (q) =>
        nameText(q.name).endsWith('evil.org')
          ? referral([...dead, ns('evil.org', 'www.victim.org')])
          : undefined,
      ).at('198.51.100.1', yes),
    );
    for (let more = 0; more < i; more++) it.find('victim.org');
    expect(outcomeOf(it.find('www.evil.org'))).toBe('A www.evil.org');
  }
});

test.each([
  [{ serversPerDelegation: 3 }, 40, 1, 3],
  [{ addressesPerServer: 2 }, 1, 40, 2],
])('with %j, of %i servers with %i addresses each only %i are asked', (limit, servers, addresses, asked) => {
  const records = Array.from({ length: servers }, (_, i) => ns('evil.org', `ns${i}.evil.org`));
  const glue = Array.from({ length: servers * addresses }, (_, i) =>
    a(`ns${i % servers}.evil.org`, `203.0.113.${i + 1}`),
  );
  const it = new Iteration(
    internet(yes, (q) => (nameText(q.name).endsWith('evil.org') ? referral(records, glue) : undefined)),
    { limits: { ...recursionDefaults, ...limit } },
  );
  for (const { server: text } of glue.map((g) => ({ server: g.rdata.join('.') })))
    it.internet.at(text, () => ({ rcode: Rcode.REFUSED }));
  for (let i = 0; i < 3; i++) it.find(`n${i}.evil.org`);
  expect(new Set(it.internet.seen.filter((s) => s.server.startsWith('203.')).map((s) => s.server)).size).toBe(
    asked,
  );
});

const nowheres = [
  ...['127.0.0.1', '127.8.9.10', '0.0.0.0', '0.1.2.3', '169.254.169.254', '224.0.0.1', '240.0.0.1'],
  ...['255.255.255.255', '::', '::1', '::7f00:1', '::ffff:127.0.0.1', 'fe80::1', 'febf::1', 'ff02::1'],
];

test('glue that leads to this host, or to everybody, is not followed', () => {
  for (const nowhere of nowheres) {
    const it = new Iteration(
      internet(yes, (q) =>
        nameText(q.name).endsWith('evil.org')
          ? referral([ns('evil.org', 'ns.evil.org')], [a('ns.evil.org', nowhere)])
          : undefined,
      ),
    );
    expect(outcomeOf(it.find('www.evil.org'))).toBe(
      'no name server of evil.org has an address that is known',
    );
  }
});

test('an address of a name server that leads to this host, or to everybody, is not asked', () => {
  for (const nowhere of nowheres) {
    const it = new Iteration(
      internet(
        (q) => (q.name === key('ns.evil.org') ? answer(a('ns.evil.org', nowhere)) : denial('evil.org')),
        (q) =>
          nameText(q.name).endsWith('elsewhere.org')
            ? referral([ns('elsewhere.org', 'ns.evil.org')])
            : undefined,
      ),
    );
    expect(outcomeOf(it.find('www.elsewhere.org'))).toContain('ns.evil.org has no address');
    expect(new Set(it.internet.seen.map((s) => s.server))).toEqual(new Set([root, org, evil]));
  }
});

const ownAt = (text: string): Own => ({
  listen: [{ address: parsed(text), port: 53 }],
  host: [parsed('198.51.100.9'), parsed(evil)],
});

test('a zone that names the address at which we listen does not have us ask ourselves', () => {
  for (const listen of ['0.0.0.0', evil]) {
    const it = new Iteration(internet(yes), { own: ownAt(listen) });
    expect(outcomeOf(it.find('www.evil.org'))).toBe('the name servers of evil.org are this host itself');
    expect(it.internet.questions(evil)).toEqual([]);
  }
});

test('another server on this host, at a port that is not ours, is asked', () => {
  for (const listen of ['127.0.0.1', '198.51.100.9', '::']) {
    const it = new Iteration(internet(yes), { own: ownAt(listen) });
    expect(addressesOf(it.find('www.evil.org'))).toEqual(['198.51.100.66']);
  }
});

test('a zone that names a private address of this host is not asked there: a forwarder might ask us', () => {
  const dnsmasq = '192.168.122.1';
  const atOrg: AuthoritativeServer = () =>
    referral([ns('evil.org', 'ns.evil.org')], [a('ns.evil.org', dnsmasq)]);
  const own = { ...ownAt('127.0.0.1'), host: [parsed(dnsmasq)] };
  const it = new Iteration(internet(yes, atOrg).at(dnsmasq, yes), { own });
  expect(outcomeOf(it.find('www.evil.org'))).toBe('the name servers of evil.org are this host itself');
  expect(it.internet.questions(dnsmasq)).toEqual([]);
  // Of another host of that network it is as good as any.
  const other = { ...own, host: [parsed('192.168.122.2')] };
  const there = new Iteration(internet(yes, atOrg).at(dnsmasq, yes), { own: other });
  expect(addressesOf(there.find('www.evil.org'))).toEqual(['198.51.100.66']);
});

test('of the name servers of a zone those are asked that are not ourselves', () => {
  const it = new Iteration(
    internet(yes, (q) =>
      nameText(q.name).endsWith('victim.org')
        ? referral(
            [ns('victim.org', 'ns.victim.org'), ns('victim.org', 'we.victim.org')],
            [a('ns.victim.org', victim), a('we.victim.org', evil)],
          )
        : undefined,
    ),
    { own: ownAt('0.0.0.0') },
  );
  for (let i = 0; i < 20; i++) it.find(`x${i}.victim.org`);
  expect(it.internet.questions(evil)).toEqual([]);
});

test('where the configuration has a server for a zone, it is asked wherever it is', () => {
  const stub = { name: key('evil.org'), servers: [serverAt(parsed(evil))] };
  const it = new Iteration(internet(yes), { own: ownAt('0.0.0.0'), stubs: [stub] });
  expect(addressesOf(it.find('www.evil.org'))).toEqual(['198.51.100.66']);
});

test('an address is not asked from when it becomes ours, and is asked again when it is not any longer', () => {
  const it = new Recursing(internet(yes), { anchors: [], own: { ...ownAt('0.0.0.0'), host: [] } });
  const asked = (): number => {
    it.ask('www.evil.org');
    it.flush('www.evil.org');
    return it.internet.questions(evil).length;
  };
  expect(asked()).toBeGreaterThan(0);
  it.moved(ownAt('0.0.0.0'));
  expect(asked()).toBe(0);
  it.moved({ ...ownAt('0.0.0.0'), host: [parsed('198.51.100.9')] });
  expect(asked()).toBeGreaterThan(0);
});

test('a name server that is an alias is not followed (RFC 2181 §10.3)', () => {
  const it = new Iteration(
    internet((q, m) =>
      q.name === key('alias.evil.org')
        ? answer(record('alias.evil.org', Type.CNAME, wire('real.evil.org')), a('real.evil.org', evil))
        : nameText(q.name).endsWith('sub.victim.org')
          ? undefined
          : yes(q, m),
    ).at(victim, (q, m) =>
      nameText(q.name).endsWith('sub.victim.org')
        ? referral([ns('sub.victim.org', 'alias.evil.org')])
        : yes(q, m),
    ),
  );
  expect(outcomeOf(it.find('www.sub.victim.org'))).toMatch(/alias\.evil\.org has no address/);
});

test('a chain of aliases within a zone ends, and a ring too', () => {
  const links = Array.from({ length: 40 }, (_, i) =>
    record(`c${i}.evil.org`, Type.CNAME, wire(`c${i + 1}.evil.org`)),
  );
  const it = new Iteration(
    internet((q, m) => {
      if (q.name === key('c0.evil.org')) return answer(...links, a('c40.evil.org', '198.51.100.1'));
      if (q.name === key('r.evil.org')) return answer(record('r.evil.org', Type.CNAME, wire('r.evil.org')));
      return yes(q, m);
    }),
  );
  const { reply } = it.find('c0.evil.org');
  expect(reply?.kind === 'message' && reply.answer.length).toBe(11);
  expect(outcomeOf(it.find('r.evil.org'))).toBe('CNAME r.evil.org');
});

test('more records of one kind than anybody has are refused', () => {
  const many = Array.from({ length: 300 }, (_, i) => a('www.evil.org', `198.51.${i >> 8}.${i & 255}`));
  const it = new Iteration(
    internet((q, m) => (q.name === key('www.evil.org') ? answer(...many) : yes(q, m))),
  );
  expect(outcomeOf(it.find('www.evil.org'))).toMatch(/sends more than 256 records of www\.evil\.org A$/);
});

test('servers that are dead are given up before the client gives up', () => {
  const it = new Iteration(internet(() => undefined));
  const start = it.now;
  expect(outcomeOf(it.find('www.evil.org'))).toBe(
    'no name server of evil.org is of use: ns.evil.org (192.0.2.66) does not reply',
  );
  expect(it.now - start).toBeLessThanOrEqual(9000);
  expect(it.internet.questions(evil).length).toBeLessThanOrEqual(6);
  // A whole name would fare no better than the shortened one did.
  const deep = new Iteration(it.internet);
  deep.find('a.b.c.evil.org');
  expect(new Set(deep.internet.questions(evil))).toEqual(new Set(['A c.evil.org']));
});

test('of four servers three are dead, and the answer comes all the same', () => {
  const glue = [1, 2, 3, 4].map((i) => a(`ns${i}.evil.org`, `192.0.2.${60 + i}`));
  const it = new Iteration(
    internet(yes, (q) =>
      nameText(q.name).endsWith('evil.org')
        ? referral(
            [1, 2, 3, 4].map((i) => ns('evil.org', `ns${i}.evil.org`)),
            glue,
          )
        : undefined,
    ).at('192.0.2.63', yes),
  );
  expect(outcomeOf(it.find('www.evil.org'))).toBe('A www.evil.org');
  // From then on the one that answers is asked first.
  it.internet.questions();
  for (let i = 0; i < 20; i++) it.find(`n${i}.evil.org`);
  expect(it.internet.seen.filter((s) => s.server !== '192.0.2.63').length).toBeLessThanOrEqual(4);
});

test('with 30 % of all replies lost, names are found', () => {
  const it = new Iteration(internet(yes));
  it.internet.loss = 0.3;
  for (let i = 0; i < 100; i++) expect(outcomeOf(it.find(`n${i}.evil.org`))).toMatch(/^A /);
});

test('limits that were set reach the iteration', () => {
  const servers = Array.from({ length: 10 }, (_, i) => `ns${i}.victim.org`);
  const asked = (key?: LimitKey): number => {
    const dead = internet(yes, (q) =>
      nameText(q.name).endsWith('victim.org')
        ? referral(
            servers.map((s) => ns('victim.org', s)),
            servers.map((s, i) => a(s, `203.0.113.${i + 1}`)),
          )
        : undefined,
    );
    const limits = key && { limits: limitsOf({ [key]: limitSettings[key].least }) };
    // Nobody refuses there at once for want of anything but a reply.
    servers.forEach((_, i) => dead.at(`203.0.113.${i + 1}`, () => ({ rcode: Rcode.SERVFAIL })));
    new Recursing(dead, { anchors: [], ...limits }).ask('www.victim.org');
    return new Set(dead.seen.map((s) => s.server).filter((s) => s.startsWith('203.'))).size;
  };
  expect(asked()).toBe(10);
  expect(asked('server-questions-per-name')).toBe(6);
  expect(asked('name-servers-per-zone')).toBe(2);
});

test('after nine seconds the exchange ends', () => {
  // Each name needs another name server, and each of them takes its time.
  const it = new Iteration(
    internet((q, m) => (nameText(q.name).includes('slow') ? undefined : yes(q, m))),
    { limits: { ...recursionDefaults, questionsPerName: 1000, questions: 1000 } },
  );
  it.internet.change(org, (said, q) =>
    nameText(q.name).endsWith('evil.org')
      ? referral(
          Array.from({ length: 13 }, (_, i) => ns('evil.org', `ns${i}.evil.org`)),
          Array.from({ length: 13 }, (_, i) => a(`ns${i}.evil.org`, `192.0.2.${100 + i}`)),
        )
      : said,
  );
  const start = it.now;
  expect(outcomeOf(it.find('slow.evil.org'))).toBe('9 seconds are over: A of slow.evil.org is missing');
  expect(it.now - start).toBe(9000);
  expect(it.asks.deadline).toBeUndefined();
});

test('of one thousand questions at the same time none is forgotten', () => {
  const it = new Iteration(internet(yes));
  const all = Array.from({ length: 1000 }, (_, i) => it.start(`n${i}.evil.org`));
  it.run();
  expect(all.every((e) => outcomeOf(e).startsWith('A '))).toBe(true);
  expect(it.recursion.stats['asking']).toBe(0);
});

test('a poisoned address of a name server is not used for other zones that have it', () => {
  // evil.org names ns.victim.org as its server and gives it an address in a reply of its own, not as glue.
  const it = new Iteration(
    internet((q, m) =>
      saying(yes(q, m), { additional: [a('ns.victim.org', evil)], answer: [a('ns.victim.org', evil)] }),
    ),
  );
  it.find('ns.victim.org');
  expect(victimAfter(it)).toEqual(theirs);
  expect(address('198.51.100.1').join('.')).toBe(theirs[0]);
});

test('no more name servers are looked up than the limit says, whether they exist or not', () => {
  const names = Array.from({ length: 13 }, (_, i) => ns('sub.evil.org', `nx${i}.victim.org`));
  const it = new Iteration(
    internet((q, m) => (nameText(q.name).endsWith('sub.evil.org') ? referral(names) : yes(q, m))),
    { limits: { ...recursionDefaults, targets: 4, missingTargets: 100 } },
  );
  expect(outcomeOf(it.find('www.sub.evil.org'))).toBe(
    'it would take the addresses of more than 4 name servers',
  );
  expect(it.recursion.stats['serverNamesLookedUp']).toBe(4);
});

test('more than four thousand questions at the same time are refused, and told so', () => {
  const it = new Iteration(internet(yes));
  const all = Array.from({ length: 4001 }, () => it.start('www.evil.org'));
  expect(all.map(outcomeOf).filter((o) => o !== 'nothing')).toEqual(['too many questions are on their way']);
  it.run();
  expect(all.filter((e) => outcomeOf(e) === 'A www.evil.org')).toHaveLength(4000);
});
