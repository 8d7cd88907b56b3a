/** What a change opens and closes, in words: every pair in fixtures/words. `UPDATE_GOLDEN=1` rewrites their words. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countNics, type NicChange, ownChains } from '../../../controller/explain/flow-changes.ts';
import { hostAddresses } from '../../../controller/host/host-addresses.ts';
import { changeLines } from '../../../policies/flows/change-lines.ts';
import { compareChains } from '../../../policies/flows/compare-chains.ts';
import { peerNames } from '../../../policies/flows/peer-names.ts';
import { serviceNames } from '../../../policies/flows/service-names.ts';
import { assembleBoth, FOLDER, tell, type WordsCase, wordsCases } from './words-case.ts';

const cases = wordsCases();

function changesOf(one: WordsCase): NicChange[] {
  const { before, after } = assembleBoth(one);
  const addresses = hostAddresses(after);
  const { sets, services } = one.after.loaded;
  const names = { peers: peerNames(addresses, after.book, sets), services: serviceNames(services) };
  const nicsOf = countNics(after.desired.nics.values());
  return [...after.desired.nics].flatMap(([key, nic]) =>
    (['egress', 'ingress'] as const).flatMap((direction) => {
      const old = before.desired.nics.get(key);
      if (old === undefined) throw new Error(`${key} didn't run before`);
      const [left, right] = [ownChains(before, key, old), ownChains(after, key, nic)];
      const lines = changeLines(compareChains(left[direction], right[direction], addresses), names);
      const nics = nicsOf.get(nic.container) ?? 0;
      return lines.length === 0 ? [] : [{ container: nic.container, nic: nic.nic, nics, direction, lines }];
    }),
  );
}

function update({ name }: WordsCase, words: string): void {
  const path = join(FOLDER, `${name}.yaml`);
  const text = readFileSync(path, 'utf8').replace(/^words:[\s\S]*$/m, '');
  const indented = words.replace(/^(?=.)/gm, '  ');
  writeFileSync(path, `${text}words: ${words === '' ? '""\n' : `|\n${indented}`}`);
}

test('there are enough pairs to be worth something', () => {
  expect(cases.length).toBeGreaterThanOrEqual(40);
});

test.each(cases.map((one) => [one.name, one.about, one] as const))('%s: %s', (_name, _about, one) => {
  const words = tell(changesOf(one));
  if (process.env['UPDATE_GOLDEN'] !== undefined) update(one, words);
  else expect(words).toBe(one.words);
});
