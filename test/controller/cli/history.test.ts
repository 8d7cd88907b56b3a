/** history on records as the daemon keeps them. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestOf } from '../../../controller/revisions/revision.ts';
import { RevisionStore } from '../../../controller/revisions/revision-store.ts';
import { realDisk } from '../../../controller/state/durable-disk.ts';
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

test('marks a revision whose files had errors, with their names', async () => {
  record(1, { how: 'first', broken: [] });
  record(2, { how: 'edited', broken: ['containers/db.yaml', 'profiles/base.yaml'] });
  const { out } = await bed.cli('history', { env: { STATE_DIRECTORY: bed.folder } });
  expect(out).toMatch(/^ {2}2 .* edited, with errors in containers\/db\.yaml, profiles\/base\.yaml$/m);
  expect(out).toMatch(/^ {2}1 .* first seen$/m);
});

describe('one revision', () => {
  const at = '2026-01-02T03:04:05.678Z';
  const WEB = 'ingress:\n  rules:\n    - allow: ssh\n      from: any\n';

  /** Kept as the daemon keeps them; the second was taken back, so that the third follows the first. */
  async function keep(): Promise<void> {
    const told = [
      { how: 'first', by: 'edited files', confirmation: null },
      { how: 'apply', by: 'anne', confirmation: 'taken-back' },
      { how: 'apply', by: 'eve', confirmation: null },
    ] as const;
    const texts = [
      { 'containers/web.yaml': WEB, 'sets/old.txt': '192.0.2.1\n' },
      { 'containers/web.yaml': 'egress: {}\n' },
      { 'containers/web.yaml': WEB.replace('ssh', 'https'), 'containers/db.yaml': '{}\n' },
    ];
    const store = new RevisionStore(join(bed.folder, 'revisions'), realDisk);
    for (const [index, text] of texts.entries()) {
      const files = new Map<string, string>(Object.entries(text));
      const kept = { number: index + 1, at, of: null, flows: index === 2 ? ['web: from any https now allowed'] : null };
      const known = {
        files: { added: [], changed: [], removed: [] },
        digest: digestOf(files),
        unreadable: {},
        broken: [],
      };
      await store.add({ ...kept, ...known, ...(told[index] ?? told[0]) }, files);
    }
  }

  const history = (words: string) => bed.cli(`history ${words}`, { env: { STATE_DIRECTORY: bed.folder } });

  test('is told with its texts against those that were in force before', async () => {
    await keep();
    const { out, exitCode } = await history('3');
    expect(exitCode).toBe(0);
    expect(out).toBe(
      `  3  2026-01-02 03:04:05 UTC  applied by eve
     no files
     web: from any https now allowed
--- /dev/null
+++ 3/policies/containers/db.yaml
@@ -0,0 +1,1 @@
+{}
--- 1/policies/containers/web.yaml
+++ 3/policies/containers/web.yaml
@@ -1,4 +1,4 @@
 ingress:
   rules:
-    - allow: ssh
+    - allow: https
       from: any
--- 1/policies/sets/old.txt
+++ /dev/null
@@ -1,1 +0,0 @@
-192.0.2.1
`,
    );
    const json = JSON.parse((await history('3 --json')).out);
    expect(json).toMatchObject({ number: 3, by: 'eve', against: 1 });
    expect(out.endsWith(json.diff)).toBe(true);
    expect((await history('1')).out).toContain('--- /dev/null\n+++ 1/policies/containers/web.yaml\n');
  });

  test('that is not there, or damaged, is no answer', async () => {
    await keep();
    expect(await history('9')).toEqual({
      ...{ exitCode: 1, out: '' },
      err: 'routewall: there is no revision 9; routewall history lists them\n',
    });
    expect(await history('x')).toMatchObject({ exitCode: 2 });
    bed.write('revisions/3/policies/containers/web.yaml', '{}\n');
    expect(await history('3')).toMatchObject({ exitCode: 1, err: expect.stringContaining('not those that were kept') });
  });
});
