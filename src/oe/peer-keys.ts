import { isSpecialName } from '../dns/local-names.ts';
import type { Question } from '../dns/message.ts';
import { nameOf, nameText, reverseName, type NameKey } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import { Class, Type } from '../dns/types.ts';
import { addressOf, formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import type { Proof } from '../ike/proof.ts';
import { toLatin1 } from '../wire/octets.ts';
import { addressesIn } from './addresses.ts';
import { keysFrom } from './plan.ts';
import { printable } from './text.ts';

/**
 * Finds the keys with which a peer that *begins* may prove itself. It names itself by its address (then the reverse
 * tree must hold the key) or by a host name (then that name must hold the key, and lead to the peer's address).
 * Everything must be secure; an identity that claims another host's address or name gets no keys. Where a rule says that
 * it belongs to a private group, it proves that instead.
 */
export class PeerKeys {
  readonly #doors: PeerKeysDoors;
  readonly #open = new Map<number, Search>();

  constructor(doors: PeerKeysDoors) {
    this.#doors = doors;
  }

  ask(query: number, peer: IpAddress, id: { readonly type: number; readonly octets: Uint8Array }): void {
    const named = identityOf(id);
    const name = 'kind' in named && named.kind === 'name' ? named.name : undefined;
    const byAddress = this.#doors.groupOf(peer, undefined);
    const group = byAddress ?? (name === undefined ? undefined : this.#doors.groupOf(peer, name));
    if (group !== undefined) {
      // Where a rule says it by name, the certificate must be of that name.
      const borne =
        byAddress === undefined && name !== undefined ? { name: nameText(name).replace(/\.$/, '') } : {};
      this.#answer(
        query,
        peer,
        [{ kind: 'memberOf', group, ...borne }],
        `a rule says that it is a member of ${group}`,
      );
      return;
    }
    if ('problem' in named) {
      this.#answer(query, peer, [], named.problem);
      return;
    }
    if (named.kind === 'address' && !sameAddress(named.address, peer)) {
      this.#answer(
        query,
        peer,
        [],
        `it calls itself ${formatAddress(named.address)}, which is not where it is`,
      );
      return;
    }
    if (this.#open.size >= searchesAtOnce) {
      this.#answer(query, peer, [], 'too many peers are being looked up already');
      return;
    }
    const owner = named.kind === 'address' ? reverseName(peer) : named.name;
    const search: Search = { query, peer, owner, ids: new Map(), keys: undefined, address: undefined };
    search.ids.set(this.#doors.lookup(question(owner, Type.IPSECKEY)), 'keys');
    if (named.kind === 'name') {
      search.ids.set(this.#doors.lookup(question(owner, peer.family === 4 ? Type.A : Type.AAAA)), 'address');
    } else {
      search.address = 'confirmed';
    }
    for (const lookupId of search.ids.keys()) this.#open.set(lookupId, search);
  }

  /** False where the lookup is not one of ours. */
  resolved(id: number, resolution: Resolution): boolean {
    const search = this.#open.get(id);
    const what = search?.ids.get(id);
    if (!search || what === undefined) return false;
    this.#open.delete(id);
    search.ids.delete(id);
    if (what === 'keys') {
      search.keys = resolution;
    } else {
      const there = addressesIn(resolution.answer).some((a) => sameAddress(a, search.peer));
      search.address = resolution.verdict.status === 'secure' && there ? 'confirmed' : 'refuted';
    }
    if (search.keys !== undefined && search.address !== undefined) this.#judge(search, search.keys);
    return true;
  }

  #judge(search: Search, resolution: Resolution): void {
    const { peer, owner, query } = search;
    if (search.address === 'refuted') {
      this.#answer(query, peer, [], `${nameText(owner)} does not securely resolve to ${formatAddress(peer)}`);
      return;
    }
    const owners = [owner, ...resolution.answer.flatMap((s) => (s.type === Type.IPSECKEY ? [s.owner] : []))];
    const finding = keysFrom(owner, resolution.verdict, { owners, addresses: [peer], evidence: new Map() });
    if (finding.kind === 'usable') {
      this.#answer(
        query,
        peer,
        finding.choice.chosen.map((c) => c.key),
        `its key stands securely in DNS under ${nameText(owner)}`,
      );
    } else {
      this.#answer(
        query,
        peer,
        [],
        finding.kind === 'none' ? finding.reason.why : `the gateway at ${nameText(owner)} is another host`,
      );
    }
  }

  #answer(query: number, peer: IpAddress, keys: readonly Proof[], why: string): void {
    this.#doors.answer(query, peer, keys, why);
  }
}

export interface PeerKeysDoors {
  lookup(question: Question): number;
  answer(query: number, peer: IpAddress, keys: readonly Proof[], why: string): void;
  /** The private group to which a rule says that the peer belongs, by its address or by the name that it gives. */
  groupOf(peer: IpAddress, name: NameKey | undefined): string | undefined;
}

interface Search {
  readonly query: number;
  readonly peer: IpAddress;
  readonly owner: NameKey;
  readonly ids: Map<number, 'keys' | 'address'>;
  keys: Resolution | undefined;
  address: 'confirmed' | 'refuted' | undefined;
}

/** Strangers can make us look up; this many at a time. */
const searchesAtOnce = 256;

/** Identification types of RFC 7296 §3.5. */
const IdType = { ID_IPV4_ADDR: 1, ID_FQDN: 2, ID_IPV6_ADDR: 5 } as const;

type Identity =
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'name'; readonly name: NameKey }
  | { readonly problem: string };

function identityOf(id: { readonly type: number; readonly octets: Uint8Array }): Identity {
  switch (id.type) {
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR: {
      const wanted = id.type === IdType.ID_IPV4_ADDR ? 4 : 16;
      const address = id.octets.length === wanted ? addressOf(id.octets) : undefined;
      return address
        ? { kind: 'address', address }
        : { problem: `its identity is no address (${id.octets.length} octets)` };
    }
    case IdType.ID_FQDN: {
      const text = toLatin1(id.octets);
      const name = id.octets.length > 0 && id.octets.length <= 255 ? nameOf(text) : undefined;
      if (name === undefined)
        return { problem: `its identity is no host name: ${printable(text.slice(0, 80))}` };
      return isSpecialName(name)
        ? { problem: `it calls itself ${nameText(name)}, a name that the DNS cannot know` }
        : { kind: 'name', name };
    }
    default:
      return { problem: `its identity is of type ${id.type}, for which there is no key in DNS` };
  }
}

function question(name: NameKey, type: number): Question {
  return { name, type, class: Class.IN };
}
