import { Opener, Sealer } from './crypto/cipher.ts';
import { generateDh } from './crypto/dh.ts';
import { cipherKeysOf, ikeKeys, skeyseedRekeyed } from './crypto/prf.ts';
import { sendAnswer, sendRequest, type Incoming } from './exchange.ts';
import { logKeys } from './key-log.ts';
import type { IkeSpi } from './message.ts';
import { Exchange, NotifyType } from './numbers.ts';
import { notify, type InnerPayload } from './payloads.ts';
import { acceptIke, chooseIke, describeIkeSuite, ikeProposals, type IkeSuite } from './proposals.ts';
import {
  newSession,
  startTimer,
  tell,
  type Asking,
  type Role,
  type Session,
  type Standing,
} from './session.ts';
import { shapes, take } from './shapes.ts';

/**
 * A new IKE SA out of an old one (RFC 7296 §1.3.2, §2.18). It inherits the children and who the peer is; the side
 * that wanted it deletes the old one.
 */
export function onRekeyIkeRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const { host } = session;
  const { messageId } = incoming;
  const answer = (payloads: readonly InnerPayload[]): void => {
    sendAnswer(session, phase.secrets, messageId, Exchange.CREATE_CHILD_SA, payloads);
  };
  const taken = take(incoming.payloads ?? [], shapes.rekeyIke);
  if (!taken.ok) {
    answer([notify(NotifyType.INVALID_SYNTAX)]);
    return;
  }
  // Both rekey at once, or something of the old one is still open: later (§2.25.2).
  if (session.asking !== undefined || !host.mayRekey(session)) {
    answer([notify(NotifyType.TEMPORARY_FAILURE)]);
    return;
  }
  const { SA, KE, Nonce } = taken.value;
  const spi = host.newSpi();
  const choice = chooseIke(SA, { keGroup: KE.group, spi });
  if (choice?.peerSpi === undefined) {
    answer([notify(NotifyType.NO_PROPOSAL_CHOSEN)]);
    return;
  }
  const { group } = choice.suite;
  if (group !== KE.group) {
    answer([notify(NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([group >> 8, group & 0xff]))]);
    return;
  }
  const dh = generateDh(group, host.options.random);
  const shared = dh.sharedSecret(KE.data);
  if (!shared.ok) {
    answer([notify(NotifyType.INVALID_SYNTAX)]);
    return;
  }
  const nonceR = host.options.random.octets(32);
  answer([choice.answer, { kind: 'Nonce', nonce: nonceR }, { kind: 'KE', group, data: dh.publicValue }]);
  succeed(session, phase, {
    role: 'responder',
    spi,
    peerSpi: choice.peerSpi,
    suite: choice.suite,
    nonceI: Nonce.nonce.slice(),
    nonceR,
    sharedSecret: shared.secret,
  });
}

/** Asks for a new IKE SA. */
export function askForIke(session: Session, phase: Standing): void {
  const { host } = session;
  const { group } = phase.secrets.suite;
  const spi = host.newSpi();
  const dh = generateDh(group, host.options.random);
  const nonce = host.options.random.octets(32);
  const offered = ikeProposals({ group, spi });
  session.asking = { what: 'rekeyIke', spi, nonce, dh, offered };
  tell(session, '→ CREATE_CHILD_SA: rekeys the IKE SA');
  sendRequest(
    session,
    phase.secrets,
    Exchange.CREATE_CHILD_SA,
    [
      { kind: 'SA', proposals: offered },
      { kind: 'Nonce', nonce },
      { kind: 'KE', group, data: dh.publicValue },
    ],
    host.limits.transmissionsEstablished,
  );
}

export function onRekeyIkeResponse(
  session: Session,
  phase: Standing,
  asked: Extract<Asking, { readonly what: 'rekeyIke' }>,
  incoming: Incoming,
): void {
  const taken = take(incoming.payloads ?? [], shapes.rekeyIke);
  const choice = taken.ok ? acceptIke(asked.offered, taken.value.SA) : undefined;
  const shared =
    taken.ok && taken.value.KE.group === asked.dh.group
      ? asked.dh.sharedSecret(taken.value.KE.data)
      : undefined;
  if (!taken.ok || choice?.peerSpi === undefined || choice.suite.group !== asked.dh.group || !shared?.ok) {
    // Later again; the old one stays meanwhile.
    startTimer(session, 'lifetime', retryMs);
    return;
  }
  succeed(session, phase, {
    role: 'initiator',
    spi: asked.spi,
    peerSpi: choice.peerSpi,
    suite: choice.suite,
    nonceI: asked.nonce,
    nonceR: taken.value.Nonce.nonce.slice(),
    sharedSecret: shared.secret,
  });
  session.tasks.unshift({ what: 'deleteIke', why: 'it was rekeyed', notify: undefined });
}

const retryMs = 60_000;

interface Successor {
  readonly role: Role;
  readonly spi: IkeSpi;
  readonly peerSpi: IkeSpi;
  readonly suite: IkeSuite;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

function succeed(old: Session, phase: Standing, to: Successor): void {
  const { host } = old;
  const { suite, nonceI, nonceR, role } = to;
  const exchange = { prf: suite.prf, nonceI, nonceR };
  const isInitiator = role === 'initiator';
  const keys = ikeKeys(
    skeyseedRekeyed(phase.secrets.suite.prf, phase.secrets.keys.skD, {
      ...exchange,
      sharedSecret: to.sharedSecret,
    }),
    {
      ...exchange,
      spiI: isInitiator ? to.spi : to.peerSpi,
      spiR: isInitiator ? to.peerSpi : to.spi,
      cipher: suite.cipher,
    },
  );
  const secrets = {
    ...phase.secrets,
    suite,
    keys,
    sealer: new Sealer(suite.cipher, cipherKeysOf(keys, role), host.options.random),
    opener: new Opener(suite.cipher, cipherKeysOf(keys, isInitiator ? 'responder' : 'initiator')),
    nonceI,
    nonceR,
    initI: new Uint8Array(0),
    initR: new Uint8Array(0),
  };
  const session = newSession(
    host,
    role,
    to.spi,
    old.local,
    old.remote,
    { ...phase, secrets, since: host.now },
    {
      peerSpi: to.peerSpi,
      require: old.require,
    },
  );
  session.trusted = old.trusted;
  session.identified = old.identified;
  for (const [spi, child] of old.children) session.children.set(spi, child);
  old.children.clear();
  // What is still to be asked about the children, and whoever waits for one, go with them.
  for (const task of old.tasks.splice(0)) {
    if (task.what === 'createChild' || task.what === 'deleteChild') session.tasks.push(task);
    else old.tasks.push(task);
  }
  for (const attempt of old.attempts) {
    attempt.sessions.delete(old);
    attempt.sessions.add(session);
    session.attempts.add(attempt);
  }
  old.attempts.clear();
  if ([...session.children.values()].some((c) => c.state === 'switching')) {
    startTimer(session, 'switch', host.limits.rekeySwitchMs);
  }
  tell(session, `IKE SA rekeyed: ${describeIkeSuite(suite)}`);
  logKeys(session, secrets);
  // The old one waits for its Delete, and not for ever.
  old.timers.delete('retire');
  startTimer(old, 'childless', host.limits.childlessMs);
  host.adopt(session);
}
