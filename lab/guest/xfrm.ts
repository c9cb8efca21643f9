/** What a host's kernel holds, read from `ip xfrm`, which knows nothing of `oe`. */
import type { Node } from './node.ts';

export interface XfrmState {
  readonly source: string;
  readonly destination: string;
  readonly spi: string;
  readonly reqid: number;
  readonly mode: string;
}

/** ESP states with keys; reserved SPIs and acquires are left out. */
export async function xfrmStates(node: Node): Promise<XfrmState[]> {
  const shown = await node.must(['ip', 'xfrm', 'state']);
  return shown.split(/^(?=src )/m).flatMap((block) => {
    const head = /^src (\S+) dst (\S+)\s+proto esp spi (0x[0-9a-f]+) reqid (\d+)\S* mode (\w+)/.exec(block);
    if (!head || !/\n\s+(aead|enc) /.test(block)) return [];
    const [, source = '', destination = '', spi = '', reqid = '', mode = ''] = head;
    return [{ source, destination, spi, reqid: Number(reqid), mode }];
  });
}

/** Everything under a priority or a reqid of `oe`'s band (src/kernel/bands.ts), reserved SPIs among it. */
export async function xfrmOfOe(node: Node): Promise<string[]> {
  const [states, policies] = [
    await node.must(['ip', 'xfrm', 'state']),
    await node.must(['ip', 'xfrm', 'policy']),
  ];
  const inBand = (number: string | undefined): boolean => Number(number) >>> 16 === 0x6f65;
  return [
    ...states.split(/^(?=src )/m).filter((block) => inBand(/reqid (\d+)/.exec(block)?.[1])),
    ...policies.split(/^(?=src |socket )/m).filter((block) => inBand(/priority (\d+)/.exec(block)?.[1])),
  ].map((block) => block.split('\n').slice(0, 2).join(' ').replace(/\s+/g, ' ').trim());
}
