import { checkProtected } from '../guest/expect.ts';
import { checkReverse } from '../guest/group.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';
import { startStrongswan } from '../guest/strongswan.ts';

const secret = '0sGzNQe3C0Z5+3y0rZbq6ZLw5n4U1f4Xb0';

export const scenario: Scenario = {
  timeoutMs: 240_000,
  title: 'a private group with a shared secret: oe and strongSwan, each of them first',
  run: async (stage) => {
    const { lab } = stage;
    const swan = await startStrongswan(lab.server, {
      connections: `connections {
  fleet {
    version = 2
    local_addrs = ${server.v4}
    remote_addrs = ${client.v4}
    local {
      auth = psk
      id = server.fleet.example
    }
    remote {
      auth = psk
      id = client.fleet.example
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
secrets {
  ike-fleet {
    secret = ${secret}
  }
}
`,
    });
    lab.client.write('/etc/oe/fleet.psk', `${secret}\n`, 0o600);
    const oe = await startOe(lab.client, lab.logs, {
      auth: '[[ike.auth]]\nname = "fleet"\nmethod = "psk"\npsk-file = "/etc/oe/fleet.psk"\nid = "client.fleet.example"\n',
      rules: [['198.18.2.0/24', 'private', 'fleet']],
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
