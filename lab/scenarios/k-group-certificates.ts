import { checkProtected } from '../guest/expect.ts';
import { checkReverse, makeCertificates } from '../guest/group.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';
import { startStrongswan } from '../guest/strongswan.ts';

export const scenario: Scenario = {
  timeoutMs: 240_000,
  title: 'a private group with certificates: oe with ECDSA and strongSwan with RSA, each of them first',
  run: async (stage) => {
    const { lab } = stage;
    const made = await makeCertificates(lab.server);
    const swan = await startStrongswan(lab.server, {
      connections: `connections {
  fleet {
    version = 2
    local_addrs = ${server.v4}
    remote_addrs = ${client.v4}
    local {
      auth = pubkey
      certs = server.pem
      id = oe.libreswan.org
    }
    remote {
      auth = pubkey
      cacerts = ca.pem
      id = "O=Lab, CN=client.fleet.example"
    }
    children {
      host {
        mode = transport
        local_ts = dynamic
        remote_ts = dynamic
      }
    }
  }
}
`,
      files: {
        'x509/server.pem': made['server.pem'] ?? '',
        'x509ca/ca.pem': made['ca.pem'] ?? '',
        'private/server.pem': made['server.key'] ?? '',
      },
    });
    for (const name of ['ca.pem', 'client.pem', 'client.key'] as const) {
      lab.client.write(`/etc/oe/${name}`, made[name] ?? '', 0o600);
    }
    const oe = await startOe(lab.client, lab.logs, {
      auth:
        '[[ike.auth]]\nname = "fleet"\nmethod = "certificate"\nca-file = "/etc/oe/ca.pem"\n' +
        'certificate-file = "/etc/oe/client.pem"\nkey-file = "/etc/oe/client.key"\n',
      rules: [
        ['oe.libreswan.org', 'private', 'fleet'],
        ['198.18.2.0/24', 'clear-or-private', 'fleet'],
      ],
    });
    await checkProtected(stage, {
      name: 'oe.libreswan.org',
      client: client.v4,
      server: server.v4,
      mode: 'transport',
      oe,
      verified: 'group',
    });
    await swan.swanctl('--terminate', '--ike', 'fleet');
    await checkReverse(stage, oe, () => swan.swanctl('--initiate', '--child', 'host'));
  },
};
