import { readFileSync } from 'node:fs';
import { checkProtected } from '../guest/expect.ts';
import { client, oeRsaServer } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';
import { rawKeyConnection, startStrongswan } from '../guest/strongswan.ts';

// strongSwan 6 cannot put a raw key in CERT ("embedding PUBKEY certificate in payload failed"), so that part of RFC 7670
// is for pairs of oe.
export const scenario: Scenario = {
  timeoutMs: 240_000,
  title: 'raw public keys with strongSwan: it proves RSA, oe Ed25519, and both keys stand in signed DNS',
  run: async (stage) => {
    const { lab, keys, check } = stage;
    const swan = await startStrongswan(
      lab.server,
      rawKeyConnection({
        own: oeRsaServer.v4,
        peer: client.v4,
        proposals: 'aes256gcm16-prfsha512-x25519',
        ownKey: keys.rsaServer.pem,
        peerKey: keys.client.pem,
      }),
    );
    const oe = await startOe(lab.client, lab.logs, { key: keys.client });
    await checkProtected(stage, {
      name: 'rsa.libreswan.org',
      client: client.v4,
      server: oeRsaServer.v4,
      mode: 'transport',
      oe,
    });
    const log = readFileSync(swan.daemon.log, 'utf8');
    check(/authentication of '198\.18\.1\.2' with ed25519 successful/i.test(log), 'strongSwan verified ours');
  },
};
