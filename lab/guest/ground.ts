/** What every boot needs before its first host: places for namespaces, keys, and the signed DNS tree. */
import { makeOeKey } from './keys.ts';
import { libreswanKey } from './libreswan.ts';
import type { OeKeys } from './scenario.ts';
import { prepare } from './topology.ts';
import { makeZones, type Zones } from './zones.ts';

export interface Ground {
  readonly keys: OeKeys;
  readonly zones: Zones;
}

export async function makeGround(): Promise<Ground> {
  await prepare();
  const keys: OeKeys = {
    client: makeOeKey('ed25519'),
    server: makeOeKey('ed25519'),
    rsaServer: makeOeKey('rsa'),
  };
  const [libreswanRsa, libreswanEcdsa] = await Promise.all([libreswanKey('rsa'), libreswanKey('ecdsa')]);
  const zones = await makeZones('/lab/zones', {
    libreswanRsa,
    libreswanEcdsa,
    oeServer: keys.server.published,
    oeRsaServer: keys.rsaServer.published,
    oeClient: keys.client.published,
  });
  return { keys, zones };
}
