/** history on records as the daemon keeps them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

const record = (number: number, more: object): void =>
  bed.write(
    `revisions/${number}/revision.json`,
    JSON.stringify({
      ...{ number, at: '2026-01-02T03:04:05.678Z', by: 'edited files', of: null, flows: null, confirmation: null },
      ...{ files: { added: [], changed: ['containers/web.yaml'], removed: [] }, digest: '', unreadable: {} },
      ...more,
    }),
  );

test('says how each revision came, and by whom where that is known', async () => {
  record(1, { how: 'first' });
  record(2, { how: 'edited' });
  record(3, { how: 'apply', by: 'anne', confirmation: 'confirmed' });
  record(4, { how: 'rollback', by: 'eve', of: 2 });
  const { out } = await bed.cli('history', { env: { STATE_DIRECTORY: bed.folder } });
  const heads = out.split('\n').filter((line) => /^\S? +\d/.test(line));
  expect(heads.map((line) => line.replace(/ {2}2026-01-02 03:04:05 UTC {2}/, ': '))).toEqual([
    '  4: rolled back to 2 by eve',
    '  3: applied by anne, confirmed',
    '  2: edited',
    '  1: first seen',
  ]);
});
