/** Policies that are edited, broken, half-written, renamed, deleted, and many at once. None allows what the floods send. */
import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { STEADY, type World } from '../world.ts';
import { type Dice, type Fault, type Faults, pick, says, writePolicy } from './fault.ts';

/** Within the 31 days for which a policy may only observe. */
const SOON = `${new Date(Date.now() + 20 * 24 * 3_600_000).toISOString().slice(0, 19)}Z`;

const POLICIES: readonly (string | undefined)[] = [
  'egress: { rules: [{ allow: tcp/80, to: any }] }\n',
  'egress: { default: reject, rules: [{ allow: tcp/81, to: "container:steady" }] }\ningress: { default: reject, log: true }\n',
  'use: [base]\negress: { log: true }\n',
  'ingress: { rules: [{ allow: [ssh, https], from: [lan, "container:a"], limit: 9/second }] }\n',
  `mode: observe-ingress\nuntil: ${SOON}\n`,
  'egress: { rules: [{ allow: tcp/82, to: any, until: 2060-01-01T00:00:00Z }] }\n',
  'egress: [\n',
  'egress: { rules: [{ allow: any, to: "container:nobody" }] }\n',
  '\0\0\0\0',
  undefined,
];
const PROFILES = [
  'egress: { rules: [{ allow: dns, to: host }] }\n',
  'ingress: {}\n',
  'egress: 1\n',
  undefined,
] as const;

const fileOf = ({ routewall: { policyFolder }, standIns, real }: World, dice: Dice): string =>
  join(policyFolder, 'containers', `${pick(dice, [...standIns.names, ...real.keys()])}.yaml`);

const textOf = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);

/** @returns whether the file is another one than before. */
async function changes(file: string, change: () => Promise<unknown>): Promise<boolean> {
  const before = await textOf(file);
  await change();
  return (await textOf(file)) !== before;
}

/** One of the texts that the file doesn't have already. */
async function pickOther(
  dice: Dice,
  file: string,
  texts: readonly (string | undefined)[],
): Promise<string | undefined> {
  const now = await textOf(file);
  return pick(
    dice,
    texts.filter((text) => text !== now),
  );
}

export const edit: Fault = async (world, dice) => {
  const file = fileOf(world, dice);
  const path = file.slice(world.routewall.policyFolder.length + 1);
  const text = await pickOther(dice, file, POLICIES);
  return await changes(file, () => writePolicy(world, path, text));
};

/** Good, and as it never was before: it has to be kept. */
export const goodEdit = (world: World, dice: Dice): Promise<void> => {
  const path = fileOf(world, dice).slice(world.routewall.policyFolder.length + 1);
  return writePolicy(world, path, `# ${dice(1_000_000_000)}\negress: { rules: [{ allow: tcp/83, to: host }] }\n`);
};

export const POLICY_FAULTS: Faults = {
  edit: [8, edit],
  profile: [
    2,
    async (world, dice) => {
      const path = 'profiles/base.yaml';
      const file = join(world.routewall.policyFolder, path);
      const text = await pickOther(dice, file, PROFILES);
      return await changes(file, () => writePolicy(world, path, text));
    },
  ],
  halfWritten: [
    2,
    async (world, dice) => {
      const file = fileOf(world, dice);
      const write = async (): Promise<void> => {
        await writeFile(file, 'egress: { rules: [{ allow: tcp/8');
        await sleep(dice(60));
      };
      // Whole again before it is read, or, every other time, only once it was: a busy machine would never read a half.
      const bites = await says(world, /not valid YAML/, write, dice(2) * 1_000);
      await appendFile(file, '0, to: any }] }\n');
      return bites;
    },
  ],
  renamedInto: [
    1,
    (world, dice) => {
      const file = fileOf(world, dice);
      return changes(file, async () => {
        await writeFile(`${file}~`, pick(dice, POLICIES) ?? '');
        await rename(`${file}~`, file);
      });
    },
  ],
  thousand: [
    1,
    async (world, dice) => {
      const text = pick(dice, POLICIES);
      const names = Array.from({ length: 1000 }, (_, index) => `containers/x${index}.yaml`);
      await Promise.all(names.map((path) => writePolicy(world, path, text)));
      await Promise.all(names.map((path) => writePolicy(world, path, undefined)));
      return text !== undefined;
    },
  ],
  folderGone: [
    1,
    async (world, dice) => {
      const { policyFolder } = world.routewall;
      const gone = async (): Promise<void> => {
        await rename(policyFolder, `${policyFolder}-away`);
        await sleep(dice(80));
      };
      // Now and then it is back before anyone can say so.
      const bites = await says(world, /policies|containers/, gone, dice(2) * 2_000);
      await rename(`${policyFolder}-away`, policyFolder);
      return bites;
    },
  ],
  steadyEdit: [
    2,
    async (world, dice) => {
      const text = pick(dice, ['egress: [\n', `${STEADY}ingress: { log: true }\n`, '\0']);
      await writePolicy(world, 'containers/steady.yaml', text);
      await sleep(dice(100));
      await writePolicy(world, 'containers/steady.yaml', STEADY);
      return true;
    },
  ],
};
