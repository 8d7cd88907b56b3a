/** Events are triggers to read again: whatever their order and batching, the state follows from what is there in the end. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import { HostReader } from '../../../controller/host/host-reader.ts';
import { createAssembler } from '../../../controller/pass/assemble.ts';
import { everythingDirty, mergeDirty, nothingDirty } from '../../../controller/pass/dirty.ts';
import { defaultConfig } from '../../../policies/config.ts';

const NAMES = ['a', 'b', 'c'] as const;
const POLICIES = [
  'egress: { rules: [{ allow: tcp/80, to: any }] }\n',
  'egress: { rules: [{ allow: tcp/81, to: "container:a" }] }\n',
  'use: [base]\ningress: { default: reject }\n',
  undefined,
];
const PROFILES = ['egress: { default: allow }\n', 'ingress: { rules: [{ allow: ssh, from: "group:g" }] }\n', undefined];

const LINKS = [
  {
    ifindex: 2,
    ifname: 'eth0',
    address: '02:00:00:00:00:01',
    link_type: 'ether',
  },
];
/** What ip says of links, and the program that reads their addresses: index, length, scope and address. */
const SAID: Readonly<Record<string, string>> = { ip: JSON.stringify(LINKS), perl: '2 24 0 192.0.2.1\n' };
const run: Run = async (command) => ({
  stdout: SAID[command] ?? '',
  stderr: '',
  exitCode: SAID[command] === undefined ? 1 : 0,
});

type Change =
  | { readonly kind: 'policy'; readonly name: string; readonly text: string | undefined }
  | { readonly kind: 'profile'; readonly text: string | undefined }
  | { readonly kind: 'config'; readonly name: string; readonly last: number | undefined };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({
    kind: fc.constant('policy' as const),
    name: fc.constantFrom(...NAMES),
    text: fc.constantFrom(...POLICIES),
  }),
  fc.record({ kind: fc.constant('profile' as const), text: fc.constantFrom(...PROFILES) }),
  fc.record({
    kind: fc.constant('config' as const),
    name: fc.constantFrom(...NAMES),
    last: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
  }),
);

/** A change, and whether a pass comes right after it. */
const history = fc.array(fc.tuple(change, fc.boolean()), { minLength: 1, maxLength: 12 });

async function put(file: string, text: string | undefined): Promise<void> {
  await rm(file, { force: true });
  if (text !== undefined) await writeFile(file, text);
}

function fileOf(folder: string, one: Change): string {
  if (one.kind === 'config') return join(folder, 'lxc', one.name, 'config');
  return join(folder, 'policies', one.kind === 'policy' ? `containers/${one.name}.yaml` : 'profiles/base.yaml');
}

/** `lo` exists wherever this runs: a container that is configured runs. */
const textOf = (one: Change): string | undefined =>
  one.kind === 'config'
    ? one.last === undefined
      ? undefined
      : `lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 198.51.100.${'abc'.indexOf(one.name) * 10 + one.last}/32\nlxc.group = g\n`
    : one.text;

it('ends in the state that a fresh reading gives, and one pass more changes nothing', async () => {
  const property = fc.asyncProperty(history, fc.boolean(), async (steps, fromEmpty) => {
    const folder = await mkdtemp(join(tmpdir(), 'routewall-order-'));
    try {
      for (const name of NAMES) await mkdir(join(folder, 'lxc', name), { recursive: true });
      for (const part of ['containers', 'profiles']) await mkdir(join(folder, 'policies', part), { recursive: true });
      const start = () => {
        const config = { ...defaultConfig, lxcPaths: [join(folder, 'lxc')] };
        return {
          reader: new HostReader({ config, policyFolder: join(folder, 'policies'), run }),
          assembler: createAssembler(),
        };
      };
      const { reader, assembler } = start();
      if (!fromEmpty) await reader.readAll();
      let dirty = fromEmpty ? everythingDirty() : nothingDirty();
      const pass = async () => {
        if (dirty.policies === 'all') await reader.readPolicies();
        else if (dirty.policies.size > 0) await reader.readPolicies(dirty.policies);
        await reader.readLinks(dirty.links);
        if (dirty.tree) reader.readTree();
        for (const container of dirty.configs.values()) reader.readConfig(container);
        dirty = nothingDirty();
        return assembler.assemble(reader.inputs());
      };
      for (const [one, passes] of steps) {
        await put(fileOf(folder, one), textOf(one));
        const marks = nothingDirty();
        if (one.kind === 'config') marks.configs.set(one.name, { lxcPath: join(folder, 'lxc'), name: one.name });
        else marks.policies = new Set([fileOf(folder, one)]);
        dirty = mergeDirty(dirty, marks);
        if (passes) await pass();
      }
      const after = await pass();
      const again = await pass();
      expect(again.desired.host).toBe(after.desired.host);
      const fresh = start();
      await fresh.reader.readAll();
      const wanted = fresh.assembler.assemble(fresh.reader.inputs());
      const shown = ({ policies }: typeof wanted) =>
        [...policies]
          .map(([id, { file, enforced }]) => [id, file, enforced.default])
          .sort(([a], [b]) => (`${a}` < `${b}` ? -1 : 1));
      // What broke in between keeps what was good before, which a fresh reading can't know.
      if ([...after.policies.values()].every(({ compiled }) => compiled.ok))
        expect(shown(after)).toEqual(shown(wanted));
      // Maps may share what they have in common, which is nobody's to see.
      expect({ ...after.desired, nics: new Map(after.desired.nics) }).toEqual(wanted.desired);
      expect([...reader.known.keys()].sort()).toEqual([...fresh.reader.known.keys()].sort());
    } finally {
      await rm(folder, { recursive: true });
    }
  });
  await fc.assert(property, { numRuns: 150 });
});
