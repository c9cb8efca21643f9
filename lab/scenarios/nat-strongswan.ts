import { checkHidden } from '../guest/hidden.ts';
import { server } from '../guest/names.ts';
import { hideClient, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';
import { startStrongswan } from '../guest/strongswan.ts';

const secret = '0sGzNQe3C0Z5+3y0rZbq6ZLw5n4U1f4Xb0';

export const scenario: Scenario = {
  title: 'oe behind a NAT to strongSwan, private, as members of a group with a shared secret',
  timeoutMs: 180_000,
  run: async (stage) => {
    const { lab, check } = stage;
    await hideClient(lab);
    const swan = await startStrongswan(lab.server, {
      connections: `connections {
  fleet {
    version = 2
    local_addrs = ${server.v4}
    remote_addrs = %any
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
    await checkHidden(stage, {
      name: 'oe.libreswan.org',
      outside,
      server: server.v4,
      client: lab.client,
      serverNode: lab.server,
      oe,
    });
    const shown = await swan.swanctl('--list-sas');
    check(/TRANSPORT-in-UDP/.test(shown), 'strongSwan shows transport mode in UDP', shown.slice(0, 600));
  },
};
