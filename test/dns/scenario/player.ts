/** Plays scenes through the public doors: the stub's octets and the resolver. */
import { readSaved, type SavedAnchors } from '../../../src/dns/anchors/saved.ts';
import { parseHosts } from '../../../src/dns/hosts.ts';
import { localAnswer } from '../../../src/dns/local-names.ts';
import { decodeMessage, encodeMessage, type Message, type Question } from '../../../src/dns/message.ts';
import { isBelow, nameText, rootName } from '../../../src/dns/name.ts';
import { rdataText } from '../../../src/dns/rdata-text.ts';
import type { Resolution, ResolverOptions } from '../../../src/dns/resolver.ts';
import { formatServer } from '../../../src/dns/server-text.ts';
import { decodeQuery, encodeAnswer } from '../../../src/dns/stub.ts';
import { Class, EdnsOption, rcodeName, Type, typeName } from '../../../src/dns/types.ts';
import { parseAddress, parseEndpoint } from '../../../src/net/address.ts';
import { limitSettings, limitsOf, type LimitKey } from '../../../src/oe/limits.ts';
import { wallSeconds, type WallSeconds } from '../../../src/time.ts';
import { Forwarding } from '../forwarding.ts';
import { hintsOf, Internet, Recursing } from '../internet.ts';
import { Network, server } from '../network.ts';
import { queryMessage } from '../query.ts';
import { upstreamsOf, type Manner } from '../manners.ts';
import { key, signingDate } from '../zone.ts';
import { number, typeNamed } from './rdata.ts';
import { located, recordOf, stageOf, type Mode, type Stage } from './stage.ts';
import { optionsOf, type Line, type Scene } from './text.ts';

/** What is wrong in a scene, each with the line that it is about; nothing where all goes as it says. */
export function play(scene: Scene, mode: Mode): string[] {
  const player = new Player(mode);
  for (const line of scene.lines) located(line, () => player.line(line));
  player.end();
  return player.problems;
}

/** The modes that a scene is for: both, or those of its `modes` line. */
export function modesOf(scene: Scene): readonly Mode[] {
  const line = scene.lines.findLast((l) => l.words[0] === 'modes');
  return (line?.words.slice(1) as Mode[] | undefined) ?? ['forward', 'recurse'];
}

const steps = new Set([
  'query',
  'expect',
  'answer',
  'authority',
  'asked',
  'advance',
  'fresh',
  'clock',
  'asks',
  'chain',
  'network',
  'restart',
  'note',
  'nonote',
  'upstream',
]);

interface Options extends Pick<Partial<ResolverOptions>, 'trust' | 'qnameMinimisation' | 'zones' | 'limits'> {
  /** As `[dns.limits]` has them. */
  readonly given?: Readonly<Partial<Record<LimitKey, number>>>;
  /** Names that the host answers by itself are not asked. */
  readonly local?: boolean;
  /** Lines of the hosts file. */
  readonly hosts?: readonly string[];
  readonly ownName?: string;
  readonly ownAddresses?: readonly string[];
  /** Anchors follow the roll-overs of their zones (RFC 5011). */
  readonly managed?: boolean;
}

/** `option NAME VALUE…` beside those that are given already; dates are counted from the scene's. */
function withOption(
  options: Options,
  [name, first = '', second = '']: readonly string[],
  wall: number,
): Options {
  const { trust = {}, zones = [] } = options;
  switch (name) {
    case 'negative': {
      const until = second === 'forever' ? undefined : wallSeconds(wall + Number(second));
      return {
        ...options,
        trust: { ...trust, negative: [...(trust.negative ?? []), { name: key(first), until }] },
      };
    }
    case 'local':
      return { ...options, local: true };
    case 'managed':
      return { ...options, managed: true };
    case 'time-server':
      return { ...options, trust: { ...trust, timeServers: [...(trust.timeServers ?? []), key(first)] } };
    case 'hosts':
      return { ...options, hosts: [...(options.hosts ?? []), first] };
    case 'own-name':
      return { ...options, ownName: first };
    case 'own-address':
      return { ...options, ownAddresses: [...(options.ownAddresses ?? []), first] };
    case 'not-before':
      return { ...options, trust: { ...trust, clockNotBefore: wallSeconds(Date.parse(first) / 1000) } };
    case 'minimise':
      if (first !== 'off' && first !== 'relaxed' && first !== 'strict') break;
      return { ...options, qnameMinimisation: first };
    case 'limit': {
      const { least, most } = limitSettings[first as LimitKey];
      const value = number(second);
      if (value < least || value > most) break;
      const given = { ...options.given, [first]: value };
      return { ...options, given, limits: limitsOf(given) };
    }
    case 'stub':
    case 'forward': {
      const endpoint = parseEndpoint(second, 53);
      if (!endpoint) break;
      const servers = [{ endpoint, transport: 'udp' as const }];
      return { ...options, zones: [...zones, { name: key(first), kind: name, servers }] };
    }
    default:
  }
  throw new SyntaxError(`no option ${name ?? ''} ${first} ${second}`);
}

/** What came of a query, as the client sees it and as the resolver judged it. */
interface Seen {
  readonly line: Line;
  readonly flags: ReadonlySet<string>;
  readonly message: Message;
  readonly resolution: Resolution;
  /** What was asked upstream for it. */
  readonly asked: readonly string[];
  isExpected: boolean;
  /** Records of the answer that were expected so far; undefined where any will do. */
  expected: string[] | undefined;
}

/** Who asks, and whom. */
type Net = Forwarding | Network | Recursing;

const rootAddress = '198.41.0.4';

class Player {
  readonly problems: string[] = [];
  readonly #mode: Mode;
  readonly #setting: Line[] = [];
  #inReply = false;
  #stage: Stage | undefined;
  #net: Net | undefined;
  /** Upstreams of the scene's own: what each does, by the server as text. */
  readonly #upstreams = new Map<string, Manner>();
  #wall = signingDate;
  #options: Options = {};
  /** What the resolver before this one kept. */
  #saved: SavedAnchors | undefined;
  #resumedAt: WallSeconds | undefined;
  #isNetworkDown = false;
  #seen: Seen | undefined;

  readonly #manners = upstreamsOf(() => {
    if (!this.#stage) throw new Error('there is no world yet');
    return this.#stage.world;
  });

  constructor(mode: Mode) {
    this.#mode = mode;
  }

  line(line: Line): void {
    // `in recurse expect …`: for one way of resolving alone.
    if (line.words[0] === 'in') {
      if (line.words[1] === this.#mode) this.line({ ...line, words: line.words.slice(2) });
      return;
    }
    const [command = '', ...words] = line.words;
    if (this.#inReply || !steps.has(command)) this.#set(line, command, words);
    else this.#step(line, command, words);
  }

  /** Nothing more comes. */
  end(): void {
    this.#settle();
  }

  #set(line: Line, command: string, words: readonly string[]): void {
    if (command === 'reply') this.#inReply = true;
    if (command === 'end') this.#inReply = false;
    if (command === 'modes') return;
    if (command === 'option') {
      this.#options = withOption(this.#options, words, this.#wall);
      return;
    }
    if (command === 'date') {
      const [date = ''] = words;
      this.#wall = wallSeconds(/^\d+$/.test(date) ? Number(date) : Date.parse(date) / 1000);
      if (Number.isNaN(this.#wall)) throw new SyntaxError(`no date: ${date}`);
      return;
    }
    this.#settle();
    this.#setting.push(line);
    this.#stage = undefined;
  }

  #step(line: Line, command: string, words: readonly string[]): void {
    switch (command) {
      case 'query':
        this.#settle();
        this.#query(line, words);
        return;
      case 'advance':
        this.#settle();
        this.#started().wait(seconds(words[0]));
        return;
      case 'fresh':
        // Another resolver, which knows nothing yet.
        this.#settle();
        this.#net = undefined;
        this.#saved = undefined;
        this.#resumedAt = undefined;
        return;
      case 'restart':
        // The same resolver, with what it kept of its trust anchors.
        this.#settle();
        this.#restart();
        return;
      case 'network':
        this.#settle();
        this.#isNetworkDown = words[0] === 'down';
        return;
      case 'upstream':
        this.#settle();
        this.#upstream(words);
        return;
      case 'note':
      case 'nonote': {
        const net = this.#started();
        const notes = net.resolver.notes(net.wall, net.now).map((n) => n.sentence);
        if (notes.some((n) => n.includes(words.join(' '))) !== (command === 'note'))
          this.#problem(line, `it is told: ${notes.join(' ')}`);
        return;
      }
      case 'clock':
        // Only the wall clock moves: somebody has set it.
        this.#settle();
        this.#started().wall = wallSeconds(this.#started().wall + seconds(words[0]));
        return;
      default:
        this.#check(line, command, words);
    }
  }

  #started(): Net {
    this.#stage ??= stageOf(this.#setting, this.#wall, this.#mode);
    if (!this.#net) {
      if (this.#mode === 'recurse') this.#net = this.#recursing(this.#stage);
      else if (this.#upstreams.size > 0) this.#net = this.#network(this.#stage);
      else this.#net = this.#forwarding(this.#stage);
      this.#net.wall = this.#resumedAt ?? this.#wall;
    }
    return this.#net;
  }

  #restart(): void {
    const { trustEffects, wall } = this.#started();
    const kept = trustEffects.findLast((e) => e.kind === 'keepAnchors');
    const saved = kept && readSaved(kept.text);
    if (typeof saved === 'string') throw new Error(saved);
    this.#saved = saved ?? this.#saved;
    this.#resumedAt = wall;
    this.#net = undefined;
  }

  /** The options as the resolver takes them. */
  #resolverOptions({ anchors }: Stage): Partial<ResolverOptions> & Pick<ResolverOptions, 'anchors'> {
    const { trust, managed, qnameMinimisation, zones, limits } = this.#options;
    return {
      anchors: managed ? [] : anchors,
      ...((trust || managed) && {
        trust: { ...trust, ...(managed && { managed: anchors, saved: this.#saved }) },
      }),
      ...(qnameMinimisation && { qnameMinimisation }),
      ...(zones && { zones }),
      ...(limits && { limits }),
    };
  }

  #forwarding(stage: Stage): Forwarding {
    const { anchors, trust, ...more } = this.#resolverOptions(stage);
    const net = new Forwarding(anchors, (octets, transport) => {
      const query = decodeMessage(octets);
      const question = query.ok ? query.value.questions[0] : undefined;
      if (this.#isNetworkDown || !question || this.#stage?.isSilent(question)) return undefined;
      return this.#stage?.world.answer(octets, transport);
    });
    if (trust || Object.keys(more).length > 0) net.restart(trust ?? {}, {}, more);
    return net;
  }

  /** `upstream ADDRESS|root udp|tcp|tls HOW`: what becomes of questions that go there. */
  #upstream([address = '', transport = '', how = '']: readonly string[]): void {
    const host = address === 'root' ? rootAddress : address;
    const text = { udp: `${host}:53`, tcp: `tcp://${host}:53`, tls: `tls://${host}:853` }[transport as 'udp'];
    if (text === undefined || !(how in this.#manners))
      throw new SyntaxError(`no upstream: ${address} ${transport} ${how}`);
    this.#upstreams.set(text, how as Manner);
    if (this.#net instanceof Network) this.#net.servers.set(text, this.#manners[how as Manner]);
  }

  /** Upstreams that do what the scene says, and root servers for where none of them is any good. */
  #network(stage: Stage): Network {
    const { zones = [] } = this.#options;
    const special = new Set([`${rootAddress}:53`, ...zones.flatMap((z) => z.servers.map(formatServer))]);
    const plain = [...this.#upstreams.keys()].filter((at) => !at.includes('/') && !special.has(at));
    const net = new Network({
      upstreams: plain.map(server),
      hints: hintsOf({ ns: [rootAddress] }),
      ...this.#resolverOptions(stage),
    });
    for (const [at, how] of this.#upstreams) net.servers.set(at, this.#manners[how]);
    return net;
  }

  /** Servers say what the zones say that the scene has by then. */
  #recursing(stage: Stage): Recursing {
    const { world } = stage;
    const internet = new Internet();
    for (const address of world.servers.keys()) {
      internet.at(address, (question, query) => {
        if (this.#isNetworkDown || this.#stage?.isSilent(question, address)) return undefined;
        const now = this.#stage?.world;
        const said = now?.serve(now.servers.get(address) ?? [], question, query.edns?.dnssecOk ?? false);
        return said && now?.tampered({ ...query, response: true, ...said }, question, address);
      });
    }
    const roots = [...world.servers]
      .filter(([, zones]) => zones.includes(rootName))
      .map(([address]) => address);
    return new Recursing(internet, { hints: hintsOf({ ns: roots }), ...this.#resolverOptions(stage) });
  }

  #query(line: Line, [name = '', type = '', ...flags]: readonly string[]): void {
    const net = this.#started();
    net.questions();
    const wants = new Set(flags.length > 0 ? flags : ['do']);
    const octets = encodeMessage(
      queryMessage({
        authenticData: wants.has('ad'),
        checkingDisabled: wants.has('cd'),
        questions: [{ name: key(name), type: typeNamed(type), class: Class.IN }],
        ...(!wants.has('plain') && {
          edns: { version: 0, udpSize: 4096, dnssecOk: wants.has('do'), options: [] },
        }),
      }),
    );
    const decoded = decodeQuery(octets);
    if (decoded.kind !== 'query') throw new Error(`the stub does not take the question: ${decoded.kind}`);
    const { query } = decoded;
    const resolution = this.#local(query.question) ?? answerOf(net, query.question, query.cd);
    const message = decodeMessage(encodeAnswer(query, resolution, { limitOctets: 65_535 }));
    if (!message.ok) throw message.error;
    const asked = net.questions();
    this.#seen = {
      line,
      flags: wants,
      message: message.value,
      resolution,
      asked,
      isExpected: false,
      expected: [],
    };
  }

  /** What the host answers by itself. */
  #local(question: Question): Resolution | undefined {
    const { local, hosts = [], ownName, ownAddresses = [], zones = [] } = this.#options;
    if (!local) return undefined;
    return localAnswer(question, {
      hosts: parseHosts(hosts.join('\n')),
      ownNames: ownName === undefined ? [] : [key(ownName)],
      ownAddresses: ownAddresses.flatMap((text) => parseAddress(text) ?? []),
      isNetworkAsked: (name) => zones.some((z) => isBelow(name, z.name)),
    })?.resolution;
  }

  #check(line: Line, command: string, words: readonly string[]): void {
    const seen = this.#seen;
    if (!seen) throw new SyntaxError(`${command} before any query`);
    switch (command) {
      case 'expect':
        this.#expect(line, seen, words);
        return;
      case 'answer':
        if (words[0] === '*') seen.expected = undefined;
        else seen.expected?.push(recordText(recordOf(words), hasTtl(words)));
        return;
      case 'authority': {
        const types = seen.message.authority.map((r) => typeName(r.type)).filter((t) => t !== 'RRSIG');
        this.#same(line, 'authority', [...new Set(types)].join(' '), words.join(' '));
        return;
      }
      case 'asks':
        this.#same(line, 'questions asked', String(seen.asked.length), words[0] ?? '');
        return;
      case 'asked': {
        const text = words.join(' ');
        if (!seen.asked.includes(text))
          this.#problem(line, `${text} was not asked, but ${seen.asked.join(', ')}`);
        return;
      }
      case 'chain': {
        const chain = seen.resolution.chain.join('; ');
        if (!chain.includes(words.join(' '))) this.#problem(line, `the chain is: ${chain}`);
        return;
      }
      default:
        throw new SyntaxError(`no step: ${command}`);
    }
  }

  /** `expect RCODE VERDICT [ede=N|-] [from=ZONE] [ad|noad] [cached]`. */
  #expect(line: Line, seen: Seen, [rcode = '', verdict = '', ...more]: readonly string[]): void {
    seen.isExpected = true;
    const options = optionsOf(more);
    const { message, resolution, flags } = seen;
    const ede = edeOf(message);
    this.#same(line, 'rcode', rcodeName(message.rcode), rcode);
    const { status } = resolution.verdict;
    const isWithheld = status === 'bogus' || status === 'indeterminate';
    this.#same(line, 'verdict', verdict === 'withheld' && isWithheld ? verdict : status, verdict);
    const wantsAd = verdict === 'secure' && (flags.has('ad') || flags.has('do'));
    const ad = options.has('ad') || (wantsAd && !options.has('noad'));
    this.#same(line, 'AD', String(message.authenticData), String(ad));
    this.#same(line, 'CD', String(message.checkingDisabled), String(flags.has('cd')));
    const expectedEde = options.get('ede') ?? (verdict === 'secure' ? '-' : undefined);
    if (expectedEde !== undefined && !flags.has('plain')) this.#same(line, 'EDE', ede, expectedEde);
    const from = options.get('from');
    if (from !== undefined && resolution.verdict.status === 'insecure')
      this.#same(line, 'insecure from', resolution.verdict.from, from);
    if (options.has('cached')) this.#same(line, 'from the cache', String(resolution.fromCache), 'true');
    if (message.rcode === 2) seen.expected = [];
  }

  /** The answer section is compared when all that was expected of it is known. */
  #settle(): void {
    const seen = this.#seen;
    this.#seen = undefined;
    if (!seen) return;
    if (!seen.isExpected) throw new SyntaxError(`${seen.line.at}: nothing is expected of this query`);
    if (!seen.expected) return;
    const wanted = seen.expected.toSorted();
    const came = seen.message.answer
      .filter((r) => r.type !== Type.RRSIG || seen.line.words[2] === 'RRSIG')
      .map((r) =>
        wanted.some((w) => w === recordText(r, true)) ? recordText(r, true) : recordText(r, false),
      )
      .sort();
    this.#same(seen.line, 'answer', came.join(' | '), wanted.join(' | '));
    const signed = seen.message.answer.some((r) => r.type === Type.RRSIG);
    if (signed && !seen.flags.has('do')) this.#problem(seen.line, 'signatures came without DO');
  }

  #same(line: Line, what: string, came: string, wanted: string): void {
    if (came !== wanted) this.#problem(line, `${what}: ${came || 'nothing'}, not ${wanted || 'nothing'}`);
  }

  #problem(line: Line, problem: string): void {
    const ede = this.#seen?.resolution.ede;
    const why = ede ? ` (EDE ${ede.code}: ${ede.text})` : '';
    this.problems.push(`${line.at} [${this.#mode}]: ${problem}${why}`);
  }
}

/** Lets no more time pass than the answer takes. */
function answerOf(net: Net, { name, type }: Question, checkingDisabled: boolean): Resolution {
  if (!(net instanceof Forwarding)) return net.ask(nameText(name), type, checkingDisabled);
  const id = net.start(nameText(name), type, checkingDisabled);
  for (let ms = 0; ms < 20_000 && !net.resolved.has(id); ms += 5) net.run(net.now + 5);
  const done = net.resolved.get(id);
  if (!done) throw new Error(`no answer to ${nameText(name)}`);
  return done.resolution;
}

/** `3600s`, `+90s`, `-1d`. */
function seconds(text = ''): number {
  const match = /^([+-]?)(\d+)([smhd]?)$/.exec(text);
  if (!match) throw new SyntaxError(`no time: ${text}`);
  const unit = { s: 1, m: 60, h: 3600, d: 86_400, '': 1 }[match[3] as 's'];
  return number(match[2]) * unit * (match[1] === '-' ? -1 : 1);
}

function hasTtl(words: readonly string[]): boolean {
  return /^\d+$/.test(words[1] ?? '');
}

function recordText(record: ReturnType<typeof recordOf>, withTtl: boolean): string {
  const ttl = withTtl ? ` ${record.ttl}` : '';
  return `${nameText(record.owner)}${ttl} ${typeName(record.type)} ${rdataText(record.type, record.rdata)}`;
}

function edeOf(message: Message): string {
  const data = message.edns?.options.find((o) => o.code === EdnsOption.EDE)?.data;
  return data ? String(((data[0] ?? 0) << 8) | (data[1] ?? 0)) : '-';
}
