/** What scenarios with private groups share: the secret, the authority and its certificates, traffic from the server. */
import { between, tally } from './pcap.ts';
import { client, server } from './names.ts';
import type { Node } from './node.ts';
import type { Oe } from './oe.ts';
import type { Stage } from './scenario.ts';
import { until } from './process.ts';
import { xfrmStates } from './xfrm.ts';

/** An authority and two members, made by OpenSSL; PEM, by name. */
export async function makeCertificates(node: Node): Promise<Readonly<Record<string, string>>> {
  const make = `
    cd /tmp
    ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256'
    openssl req -x509 $ec -nodes -keyout ca.key -out ca.pem -days 30 -subj '/O=Lab/CN=Fleet CA' \\
      -addext basicConstraints=critical,CA:true,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
    member() {
      openssl req $3 -nodes -keyout $1.key -out $1.csr -subj "/O=Lab/CN=$2" 2>/dev/null
      printf 'basicConstraints=CA:false\\nkeyUsage=digitalSignature\\nsubjectAltName=DNS:%s\\n' $2 > ext
      openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 7 -extfile ext -out $1.pem 2>/dev/null
    }
    member client client.fleet.example "$ec"
    member server oe.libreswan.org '-newkey rsa:3072'
    for f in ca.pem client.pem client.key server.pem server.key; do echo "== $f"; cat $f; done`;
  const printed = await node.must(['sh', '-ec', make], 60_000);
  return Object.fromEntries(
    printed
      .split(/^== /m)
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)]),
  );
}

/** The server's side begins: its IKE daemon by `begin`, then traffic, all of it encrypted. */
export async function checkReverse(stage: Stage, oe: Oe, begin: () => Promise<string>): Promise<void> {
  const { lab, check, say } = stage;
  const before = Date.now() / 1000;
  const said = await begin();
  const stands = await until(
    async () => ((await xfrmStates(lab.client)).length > 0 ? true : undefined),
    10_000,
  );
  check(stands === true, 'an SA stands that the server began', said.split('\n').slice(-4).join(' | '));
  const ping = await lab.server.run(['ping', '-c', '3', '-i', '0.3', '-I', server.v4, client.v4]);
  check(ping.code === 0, 'the server reaches the client', ping.stdout.trim().split('\n').at(-2));
  const seen = between(await lab.packets(), client.v4, server.v4).filter((p) => p.at >= before);
  say(`the middle saw between the two: ${tally(seen)}`);
  check(seen.filter((p) => p.kind === 'esp').length >= 6, 'the pings went through ESP');
  check(!seen.some((p) => p.kind === 'clear'), 'not one clear packet');
  const peer = (await oe.status()).peers.find((p) => p.address === server.v4);
  check(
    peer?.state === 'encrypted' && peer.verified === 'group',
    'oe status shows the server as a member of the group',
    JSON.stringify(peer),
  );
}
