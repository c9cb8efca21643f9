import { nameOf, reverseName, type NameKey } from '../../dns/name.ts';
import { Class, Type, typeOf } from '../../dns/types.ts';
import { parseAddress, type IpAddress } from '../../net/address.ts';
import { hasAddresses } from '../addresses.ts';
import { statusOf, whyAddress, whyName } from '../explain.ts';
import type { EdgeHealth } from '../status.ts';
import { Exit, OeError } from '../../errors.ts';
import { policyShown, policyTested } from '../policy-words.ts';
import { nearest, printable } from '../text.ts';
import type { ControlAnswer, ControlRoutes } from './control.ts';
import type { Reloaded } from './reload.ts';
import type { Runtime } from './runtime.ts';

/** What the edge knows of the rules. */
export interface PolicyEdge {
  readonly file: string | undefined;
  /** What is worth a word, each as a sentence with its line. */
  readonly remarks: () => readonly string[];
  readonly reload: () => Promise<Reloaded>;
}

/** What the control API answers. `health` is what the edge knows of itself. */
export function controlRoutes(runtime: Runtime, policy: PolicyEdge, health: () => EdgeHealth): ControlRoutes {
  return {
    '/v1/policy': () => {
      const more = { running: true, file: policy.file ?? null, remarks: policy.remarks() };
      return { ok: true, body: policyShown(runtime.agent.view.policy, more) };
    },
    '/v1/policy/test': (query) => {
      const text = query.get('subject') ?? '';
      const address = parseAddress(text);
      const name = text === '' ? undefined : nameOf(text);
      const { view } = runtime.agent;
      if (address) return { ok: true, body: policyTested(view.policy, { address }, view) };
      if (name === undefined)
        return refusal('name-invalid', `${shown(text)} is neither a host name nor an address.`);
      return { ok: true, body: policyTested(view.policy, { name }, view) };
    },
    'POST /v1/reload': async () => {
      try {
        return { ok: true, body: await policy.reload() };
      } catch (error) {
        if (!(error instanceof OeError)) throw error;
        const { code, message, remedy, exitCode } = error;
        return { ok: false, status: exitCode === Exit.config ? 422 : 500, code, message, remedy };
      }
    },
    '/v1/status': async () => {
      const traffic = await runtime.traffic();
      return { ok: true, body: statusOf(runtime.agent.view, traffic, health()) };
    },
    '/v1/why': async (query) => {
      const text = query.get('name') ?? '';
      const address = parseAddress(text);
      if (address) return explainAddress(runtime, address);
      const name = text === '' ? undefined : nameOf(text);
      if (name === undefined)
        return refusal('name-invalid', `${shown(text)} is neither a host name nor an address.`);
      return explainName(runtime, name, query.get('fresh') === '1');
    },
    '/v1/dig': async (query) => {
      const text = query.get('name') ?? '';
      const typeText = query.get('type') ?? '';
      const address = parseAddress(text);
      const name = address ? reverseName(address) : text === '' ? undefined : nameOf(text);
      if (name === undefined)
        return refusal('name-invalid', `${shown(text)} is neither a host name nor an address.`);
      const type = typeText === '' ? (address ? Type.PTR : Type.A) : typeOf(typeText);
      if (type === undefined) return refusal('type-invalid', unknownType(typeText));
      const question = { name, type, class: Class.IN };
      return { ok: true, body: await runtime.dig(question, query.get('cd') === '1') };
    },
    'POST /v1/flush': async (query) => {
      const text = query.get('name') ?? '';
      const typeText = query.get('type') ?? '';
      const all = query.get('all') === '1';
      const name = text === '' ? undefined : nameOf(text);
      if (!all && name === undefined)
        return refusal('name-invalid', `${shown(text)} is no name. Everything is forgotten with all=1.`);
      const type = typeText === '' ? undefined : typeOf(typeText);
      if (typeText !== '' && type === undefined) return refusal('type-invalid', unknownType(typeText));
      const tree = query.get('tree') === '1';
      const entries = await runtime.flush(all ? { name: undefined } : { name, type, tree });
      return { ok: true, body: { version: 1, flushed: all ? 'all' : text, entries } };
    },
    '/v1/forgive': (query) => {
      const text = query.get('address');
      const peer = text === null ? undefined : parseAddress(text);
      if (text !== null && !peer) return refusal('address-invalid', `${shown(text)} is no address.`);
      runtime.input(peer ? { kind: 'forgive', peer } : { kind: 'forgive' });
      return { ok: true, body: { version: 1, forgiven: text ?? 'all' } };
    },
  };
}

async function explainName(runtime: Runtime, name: NameKey, fresh: boolean): Promise<ControlAnswer> {
  // What came of a question for other records says nothing of the addresses.
  const isKnown = runtime.agent.recordsOf(name).some((r) => hasAddresses(r.question.type));
  if (fresh || !isKnown) await runtime.look(name);
  const body = whyName(runtime.agent.view, name);
  return body ? { ok: true, body } : refusal('lookup-lost', 'The lookup left no record; ask again.', 500);
}

function explainAddress(runtime: Runtime, address: IpAddress): ControlAnswer {
  const body = whyAddress(runtime.agent.view, address);
  if (body) return { ok: true, body };
  return refusal(
    'address-unknown',
    'Nothing is known of this address: no name that was looked up leads to it, and no peer there has begun.',
    404,
  );
}

function refusal(code: string, message: string, status = 400): ControlAnswer {
  return { ok: false, status, code, message };
}

function unknownType(text: string): string {
  const near = nearest(text.toUpperCase(), Object.keys(Type));
  const hint =
    near === undefined ? 'Write TYPE with a number for one that oe has no name for' : `Did you mean ${near}`;
  return `${shown(text)} is no record type. ${hint}${near === undefined ? '.' : '?'}`;
}

function shown(text: string): string {
  return text === '' ? 'An empty text' : printable(text.slice(0, 80));
}
