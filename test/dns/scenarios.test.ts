/** The scenes of `test/dns/scenarios`, in every mode that they are for. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { modesOf, play } from './scenario/player.ts';
import { readScenes } from './scenario/text.ts';

const place = new URL('./scenarios/', import.meta.url);

for (const file of readdirSync(place).filter((name) => name.endsWith('.scene'))) {
  describe(file, () => {
    const text = readFileSync(new URL(file, place), 'utf8');
    const scenes = readScenes(text, file, (name) => readFileSync(new URL(name, place), 'utf8'));
    for (const scene of scenes) {
      test.each(modesOf(scene))(`${scene.title} (%s)`, (mode) => {
        expect(play(scene, mode)).toEqual([]);
      });
    }
  });
}
