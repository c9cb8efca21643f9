import { checkProtected } from '../guest/expect.ts';
import { client, oeServer } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';
import { rawKeyConnection, startStrongswan } from '../guest/strongswan.ts';
import { readFileSync } from 'node:fs';

export const scenario: Scenario = {
  timeoutMs: 240_000,
  title: 'raw public keys in CERT: strongSwan sends its own, and what counts is the one in signed DNS',
  run: async (stage) => {
    const { lab, keys, check } = stage;
    const { connections, ...rest } = rawKeyConnection({
      own: oeServer.v4,
      peer: client.v4,
      proposals: 'aes256gcm16-prfsha512-x25519',
      ownKey: keys.server.pem,
      peerKey: keys.client.pem,
    });
    const swan = await startStrongswan(lab.server, {
      connections: connections.replace('version = 2\n', 'version = 2\n    send_cert = always\n'),
      ...rest,
    });
    const oe = await startOe(lab.client, lab.logs, { key: keys.client });
    await checkProtected(stage, {
      name: 'ours4.libreswan.org',
      client: client.v4,
      server: oeServer.v4,
      mode: 'transport',
      oe,
    });
    const log = readFileSync(swan.daemon.log, 'utf8');
    check(/IKE_AUTH response 1 \[ IDr CERT AUTH/.test(log), 'strongSwan sent its key in CERT');
    check(/authentication of '198\.18\.1\.2' with (ED25519|Ed25519)/i.test(log), 'and verified ours');
  },
};
