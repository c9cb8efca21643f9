import { checkProtected } from '../guest/expect.ts';
import { client, oeServer } from '../guest/names.ts';
import { startOe, type Oe } from '../guest/oe.ts';
import { until } from '../guest/process.ts';
import type { Scenario, Stage } from '../guest/scenario.ts';
import { rawKeyConnection, startStrongswan, type Strongswan } from '../guest/strongswan.ts';

const proposals = 'aes256gcm16-prfsha512-x25519-ke1_mlkem768';

export const scenario: Scenario = {
  title: 'strongSwan and oe add ML-KEM-768 to X25519, whichever of the two begins',
  timeoutMs: 240_000,
  run: async (stage) => {
    const { lab, keys, check, say } = stage;
    say('strongSwan as the server');
    const server = await startStrongswan(
      lab.server,
      rawKeyConnection({
        own: oeServer.v4,
        peer: client.v4,
        proposals,
        ownKey: keys.server.pem,
        peerKey: keys.client.pem,
      }),
    );
    const oe = await startOe(lab.client, lab.logs, { key: keys.client });
    // The first answer may be given before so slow a machine is through; then it is in the clear.
    await until(async () => {
      await lab.client.run(['dig', '+short', 'ours4.libreswan.org']);
      return (await oe.status()).peers.find((p) => p.address === oeServer.v4)?.state === 'encrypted';
    }, 30_000);
    await checkProtected(stage, {
      name: 'ours4.libreswan.org',
      client: client.v4,
      server: oeServer.v4,
      mode: 'transport',
      oe,
    });
    await checkPostQuantum(stage, oe, oeServer.v4, server);
    await oe.daemon.stop();
    await server.daemon.stop();

    say('strongSwan as the client');
    const oeAtServer = await startOe(lab.server, lab.logs, { key: keys.server });
    const begins = await startStrongswan(
      lab.client,
      rawKeyConnection({
        own: client.v4,
        peer: oeServer.v4,
        proposals,
        ownKey: keys.client.pem,
        peerKey: keys.server.pem,
      }),
    );
    const initiated = await begins.swanctl('--initiate', '--child', 'host', '--timeout', '20');
    check(/initiate completed successfully/.test(initiated), 'the child comes up', initiated.slice(-600));
    const page = await until(async () => {
      const ran = await lab.client.run(['curl', '-4', '-s', '-m', '5', `http://${oeServer.v4}/`]);
      return ran.stdout.includes('Hello');
    }, 15_000);
    check(page !== undefined, 'the page comes through it');
    await checkPostQuantum(stage, oeAtServer, client.v4, begins);
  },
};

/** Both ends say which key exchanges there were. */
async function checkPostQuantum(
  { check }: Stage,
  oe: Oe,
  peerOfOe: string,
  strongswan: Strongswan,
): Promise<void> {
  const sas = await strongswan.swanctl('--list-sas');
  check(/CURVE_25519\/KE1_ML_KEM_768/.test(sas), 'swanctl --list-sas shows KE1_ML_KEM_768', sas);
  const peer = (await oe.status()).peers.find((p) => p.address === peerOfOe);
  check(
    peer?.postQuantum === true && (peer.keyExchanges ?? []).includes('ML-KEM-768'),
    'oe status --json says that the key exchange is post-quantum, and which',
    JSON.stringify(peer),
  );
  const text = (await oe.run('status')).stdout;
  check(/post-quantum/.test(text), 'oe status says so in words', text);
}
