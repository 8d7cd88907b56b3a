import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ContainerPolicy } from '../../../controller/pass/choose-policies.ts';
import { LastGood } from '../../../controller/state/last-good.ts';
import { compilePolicy } from '../../../policies/compile-policy.ts';
import { loadPolicies } from '../../../policies/load-policies.ts';
import type { PolicyFiles } from '../../../policies/policy-files.ts';
import { book, linesOf } from '../../policies/compile-texts.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-last-good-'));
});
afterEach(() => rm(folder, { recursive: true }));

const FILES = new Map([
  ['containers/web.yaml', 'use: [base]\negress: { rules: [{ allow: mine, to: ["container:builder", "set:s"] }] }\n'],
  ['profiles/base.yaml', 'ingress: { rules: [{ allow: ssh, from: "group:ci" }] }\n'],
  ['sets/s.txt', '203.0.113.0/24\n'],
  ['services.yaml', 'mine: tcp/7777\n'],
]);

function policyOf(name: string, files: ReadonlyMap<string, string>): ContainerPolicy {
  const compiled = compilePolicy(name, { loaded: loadPolicies(files), book, now: 0 });
  return {
    file: compiled.file,
    status: compiled.ok ? 'ok' : 'last-good',
    written: compiled,
    compiled,
    enforced: compiled,
  };
}

const byId = (policies: readonly ContainerPolicy[]): ReadonlyMap<string, ContainerPolicy> =>
  new Map(policies.map((policy) => [policy.compiled.container, policy]));

/** As a pass does, around the kernel's commit. */
async function keep(lastGood: LastGood, policies: readonly ContainerPolicy[], files: PolicyFiles): Promise<void> {
  await lastGood.note(byId(policies), files).catch(() => undefined);
  await lastGood.save();
}

async function opened(): Promise<LastGood> {
  const lastGood = new LastGood(folder);
  await lastGood.open();
  return lastGood;
}

it('gives a later run the same chains, whatever its files and names say by then', async () => {
  const policy = policyOf('web', FILES);
  await keep(await opened(), [policy], FILES);
  const recalled = await (await opened()).recall('web', { now: 0, id: 'web' });
  for (const direction of ['egress', 'ingress'] as const) {
    const lines = recalled === undefined ? [] : linesOf(recalled.default[direction]);
    expect(lines).toEqual(linesOf(policy.enforced.default[direction]));
    expect(lines.length).toBeGreaterThan(1);
  }
});

it('keeps the good one when a broken one comes, and forgets it with the file', async () => {
  const lastGood = await opened();
  await keep(lastGood, [policyOf('web', FILES)], FILES);
  const broken = new Map([['containers/web.yaml', 'egress: 1\n']]);
  await keep(lastGood, [policyOf('web', broken)], broken);
  expect(await lastGood.recall('web', { now: 0, id: 'web' })).toBeDefined();
  await keep(lastGood, [policyOf('web', new Map())], new Map());
  expect(await lastGood.recall('web', { now: 0, id: 'web' })).toBeUndefined();
  expect(await readdir(join(folder, 'last-good'))).toEqual([]);
});

it('keeps it while one of several containers of that name has the file, in whatever LXC path', async () => {
  const lastGood = await opened();
  const [policy, gone] = [policyOf('web', FILES), policyOf('web', new Map())];
  const steps = [
    [['a/web', 'b/web'], []],
    [['a/web'], ['b/web']],
    [['a/web'], []],
    [['b/web'], ['a/web']],
  ] as const;
  for (const [having, without] of steps) {
    const entries = [...having.map((id) => [id, policy] as const), ...without.map((id) => [id, gone] as const)];
    await lastGood.note(new Map(entries), FILES);
    await lastGood.save();
    expect(await readdir(join(folder, 'last-good'))).toEqual(['web.json']);
  }
  await lastGood.note(new Map([['b/web', gone]]), new Map());
  await lastGood.save();
  expect(await readdir(join(folder, 'last-good'))).toEqual([]);
});

it('has nothing for a container that never was good', async () => {
  const broken = new Map([['containers/web.yaml', 'egress: 1\n']]);
  const lastGood = await opened();
  await keep(lastGood, [policyOf('web', broken)], broken);
  expect(await lastGood.recall('web', { now: 0, id: 'web' })).toBeUndefined();
});

it('takes odd names, and is not harmed by files that are not its own', async () => {
  const name = `o'dd; "%" $(x)`;
  const files = new Map([[`containers/${name}.yaml`, 'egress: { default: allow }\n']]);
  const lastGood = await opened();
  await keep(lastGood, [policyOf(name, files)], files);
  await writeFile(join(folder, 'last-good/100%.json'), '{}');
  await writeFile(join(folder, 'last-good/a b.json'), 'no json');
  expect((await (await opened()).recall(name, { now: 0, id: name }))?.default.egress.default.verdict).toBe('allow');
});

it.each([
  '',
  'no json',
  '[]',
  '{"files": 7}',
  '{"files": {"containers/web.yaml": "egress: 1"}}',
  '{"files": {"containers/web.yaml": 1}}',
])('takes a damaged record (%j) for none', async (text) => {
  const lastGood = await opened();
  await keep(lastGood, [policyOf('web', FILES)], FILES);
  await writeFile(join(folder, 'last-good/web.json'), text);
  expect(await (await opened()).recall('web', { now: 0, id: 'web' })).toBeUndefined();
});

it('opens, and keeps the others, where records are unreadable or can not be written', async () => {
  await mkdir(join(folder, 'last-good', 'web.json'), { recursive: true });
  const long = 'x'.repeat(255);
  const files = new Map([...FILES, [`containers/${long}.yaml`, '{}\n'], ['containers/db.yaml', '{}\n']]);
  const lastGood = await opened();
  expect(await lastGood.recall('web', { now: 0, id: 'web' })).toBeUndefined();
  const policies = [long, 'web', 'db'].map((name) => policyOf(name, files));
  await expect(keep(lastGood, policies, files)).rejects.toThrow(/ENAMETOOLONG|EISDIR/);
  expect(await (await opened()).recall('db', { now: 0, id: 'db' })).toBeDefined();
});

it('opens where nothing can be made, and keeps what is good once it can', async () => {
  // In the place of the state folder: nobody, root neither, makes a folder in a file.
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  const lastGood = await opened();
  await expect(keep(lastGood, [policyOf('web', FILES)], FILES)).rejects.toThrow(/ENOTDIR/);
  await rm(folder);
  await keep(lastGood, [policyOf('web', FILES)], FILES);
  expect(await (await opened()).recall('web', { now: 0, id: 'web' })).toBeDefined();
});

it('keeps what the disk refused once it takes it, though the file is broken by then', async () => {
  const lastGood = await opened();
  await writeFile(join(folder, 'last-good'), 'no folder');
  await expect(keep(lastGood, [policyOf('web', FILES)], FILES)).rejects.toThrow(/EEXIST|ENOTDIR/);
  expect(lastGood.isRefused).toBe(true);
  await rm(join(folder, 'last-good'));
  const broken = new Map([['containers/web.yaml', 'egress: 1\n']]);
  await keep(lastGood, [policyOf('web', broken)], broken);
  expect(lastGood.isRefused).toBe(false);
  expect(await (await opened()).recall('web', { now: 0, id: 'web' })).toBeDefined();
});

it('has at once what is being written, and in the end what was saved last', async () => {
  const lastGood = await opened();
  const allowing = (port: number): ReadonlyMap<string, string> =>
    new Map([['containers/web.yaml', `ingress: { rules: [{ allow: tcp/${port}, from: any }] }\n`]]);
  const ruleOf = async (from: LastGood): Promise<string | undefined> => {
    const recalled = await from.recall('web', { now: 0, id: 'web' });
    return recalled === undefined ? undefined : linesOf(recalled.default.ingress)[0];
  };
  const saving = [1, 2, 3].map((port) => keep(lastGood, [policyOf('web', allowing(port))], allowing(port)));
  expect(await ruleOf(lastGood)).toContain('3');
  saving.push(keep(lastGood, [policyOf('web', new Map())], new Map()));
  expect(await ruleOf(lastGood)).toBeUndefined();
  expect(lastGood.isRefused).toBe(false);
  saving.push(keep(lastGood, [policyOf('web', allowing(4))], allowing(4)));
  await Promise.all(saving);
  expect(await ruleOf(await opened())).toContain('4');
});

describe('what was noted before the kernel had it, and not written when the daemon was killed', () => {
  const tightened = new Map([['containers/web.yaml', 'egress: { default: drop }\n']]);

  it('is what a later run recalls, and writes', async () => {
    await keep(await opened(), [policyOf('web', FILES)], FILES);
    await (await opened()).note(byId([policyOf('web', tightened)]), tightened);
    for (const _run of [1, 2]) {
      const lastGood = await opened();
      const recalled = await lastGood.recall('web', { now: 0, id: 'web' });
      expect(recalled && linesOf(recalled.default.egress)).toEqual(['web.yaml:1 default drop']);
      await lastGood.save();
      expect(await readdir(join(folder, 'last-good'))).toEqual(['web.json']);
    }
  });

  it('is nothing where the policy file had gone', async () => {
    await keep(await opened(), [policyOf('web', FILES)], FILES);
    await (await opened()).note(byId([policyOf('web', new Map())]), new Map());
    expect(await (await opened()).recall('web', { now: 0, id: 'web' })).toBeUndefined();
  });

  it.each([
    '',
    '[["web"',
    '{"web": "x"}',
    '[["web", 7], ["web", "no json"], 7, null]',
    '{"records": [["web", 7], 7, null], "shared": [{}]}',
    '{"records": 7, "shared": {}}',
    '{"records": [["web", {"files": {"containers/web.yaml": 0, "services.yaml": 1}}]], "shared": ["{}"]}',
    '{"records": [["web", {"files": {"containers/web.yaml": "x"}}]], "shared": ["{}"]}',
  ])('is the record before where it is damaged (%j)', async (text) => {
    await keep(await opened(), [policyOf('web', FILES)], FILES);
    await writeFile(join(folder, 'last-good/pending-1'), text);
    const recalled = await (await opened()).recall('web', { now: 0, id: 'web' });
    expect(recalled && linesOf(recalled.default.egress)).toEqual(
      linesOf(policyOf('web', FILES).enforced.default.egress),
    );
  });

  it('is read as an earlier release wrote it', async () => {
    await keep(await opened(), [policyOf('web', FILES), policyOf('db', FILES)], FILES);
    const record = JSON.stringify({ files: Object.fromEntries(tightened), containers: {}, groups: {} });
    await writeFile(
      join(folder, 'last-good/pending-1'),
      JSON.stringify([
        ['web', record],
        ['db', null],
      ]),
    );
    const lastGood = await opened();
    const recalled = await lastGood.recall('web', { now: 0, id: 'web' });
    expect(recalled && linesOf(recalled.default.egress)).toEqual(['web.yaml:1 default drop']);
    expect(await lastGood.recall('db', { now: 0, id: 'db' })).toBeUndefined();
  });

  it('holds what many share once, and gives each its own', async () => {
    const names = ['web', 'db', '__proto__'];
    const own = (port: number) => `use: [base]\negress: { rules: [{ allow: tcp/${port}, to: "container:builder" }] }\n`;
    const base = 'ingress: { rules: [{ allow: ssh, from: "group:ci" }] }\n';
    const files = new Map([
      ...names.map((name, index): [string, string] => [`containers/${name}.yaml`, own(index + 1)]),
      ['profiles/base.yaml', base],
    ]);
    const policies = names.map((name) => policyOf(name, files));
    await (await opened()).note(byId(policies), files);
    const text = await readFile(join(folder, 'last-good/pending-1'), 'utf8');
    expect(text.split(JSON.stringify(base))).toHaveLength(2);
    const later = await opened();
    expect(() => JSON.parse(text)).not.toThrow();
    for (const { compiled } of policies) {
      const recalled = await later.recall(compiled.container, { now: 0, id: compiled.container });
      for (const direction of ['egress', 'ingress'] as const)
        expect(recalled && linesOf(recalled.default[direction])).toEqual(linesOf(compiled.default[direction]));
    }
  });

  it('is nothing where all that was read is as it was, whatever was compiled anew', async () => {
    await keep(await opened(), [policyOf('web', FILES)], FILES);
    await (await opened()).note(byId([policyOf('web', FILES)]), FILES);
    expect(await readdir(join(folder, 'last-good'))).toEqual(['web.json']);
  });

  it('is the last of several', async () => {
    const lastGood = await opened();
    for (const files of [FILES, tightened, FILES, tightened])
      await lastGood.note(byId([policyOf('web', files)]), files);
    expect(await readdir(join(folder, 'last-good'))).toHaveLength(4);
    const recalled = await (await opened()).recall('web', { now: 0, id: 'web' });
    expect(recalled && linesOf(recalled.default.egress)).toEqual(['web.yaml:1 default drop']);
  });
});

it('goes on without a record that can no longer be read', async () => {
  const policy = policyOf('web', FILES);
  await keep(await opened(), [policy], FILES);
  const lastGood = await opened();
  const record = join(folder, 'last-good', 'web.json');
  await rm(record);
  await mkdir(record);
  expect(await lastGood.recall('web', { now: 0, id: 'web' })).toBeUndefined();
});
