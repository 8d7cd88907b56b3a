/** Whatever lies in the policy folder and the LXC path: the daemon says what is wrong where, and serves everybody else. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { listen, probe } from '../../sandbox/services.ts';
import { LXC_FILES, type Malformed, POLICY_FILES } from './malformed.ts';
import { addressesOf, nic, type Routewall, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const PORTS = [80, 81] as const;
const allow = (port: number): string => `egress: { rules: [{ allow: tcp/${port}, to: any }] }\n`;

interface Arena {
  readonly rw: Routewall;
  readonly web: Container;
  /** What is edited comes into force for somebody who has no part in it. */
  serves(what: string): Promise<void>;
}

async function openArena(): Promise<Arena> {
  const rw = await startRoutewall({ policies: { 'containers/web.yaml': allow(PORTS[0]) } });
  await listen(rw.bed.outside, ...PORTS.map((port) => ({ protocol: 'tcp' as const, port })));
  const web = await rw.addContainer('web', { lines: nic(addressesOf(10)) });
  await rw.start(web);
  const inside = await web.inside();
  let edits = 0;
  const serves = async (what: string): Promise<void> => {
    edits += 1;
    const port = PORTS[edits % 2] ?? 80;
    await rw.writePolicy('containers/web.yaml', allow(port));
    const reached = () => probe(inside, { protocol: 'tcp', to: '192.0.2.2', port });
    await eventually(`${what}: the others' edits come into force`, async () => (await reached()) === 'allowed', 20_000);
  };
  return { rw, web, serves };
}

interface Case extends Malformed {
  readonly label: string;
  readonly file: string;
}

/** Each belongs to a container of its own, of which nothing but its files exists. */
async function prepare({ rw }: Arena): Promise<Case[]> {
  const cases = [
    ...POLICY_FILES.map((one) => ({ ...one, label: `as policy, ${one.what}`, isPolicy: true })),
    ...LXC_FILES.map((one) => ({ ...one, label: `as configuration, ${one.what}`, isPolicy: false })),
  ];
  const prepared: Case[] = [];
  for (const [index, { isPolicy, ...one }] of cases.entries()) {
    const folder = join(rw.bed.lxcPath, `bad${index}`);
    await mkdir(folder);
    // A configuration appears whole, whatever it is.
    if (isPolicy) await writeFile(join(folder, 'config'), `${nic(addressesOf(100 + index)).join('\n')}\n`);
    const file = isPolicy ? join(rw.policyFolder, `containers/bad${index}.yaml`) : join(folder, 'config');
    prepared.push({ ...one, file });
  }
  return prepared;
}

const told = ({ rw }: Arena, { file, reason }: Case, after: number): Promise<string> => {
  const place = file.slice(file.lastIndexOf('/bad')).replaceAll('.', '\\.');
  return rw.daemon
    .child()
    .waitForLine(new RegExp(`${place}\\S*:\\d+:\\d+: error: .*${reason.source}`), { after, timeout: 20_000 });
};

test('each is refused at its place, and the others are served', async () => {
  const arena = await openArena();
  for (const one of await prepare(arena)) {
    const after = arena.rw.mark();
    await one.make(one.file);
    await told(arena, one, after).catch((cause: unknown) => {
      throw new Error(`${one.label}: nothing is told`, { cause });
    });
    await arena.serves(one.label);
    await rm(one.file, { recursive: true });
  }
  // A watch that failed would leave what is edited to a look each ten seconds.
  expect(arena.rw.daemon.child().lines.filter((line) => /can't be watched|trying again/.test(line))).toEqual([]);
});

test('all of them at once are, and everything that asks is answered', async () => {
  const arena = await openArena();
  const { rw, serves } = arena;
  const cases = await prepare(arena);
  const after = rw.mark();
  await Promise.all(cases.map(({ make, file }) => make(file)));
  await Promise.all(cases.map((one) => told(arena, one, after)));
  await serves('all');
  for (const command of [['status'], ['check'], ['list', '--json']] as const) {
    // The status file is written after what the log says.
    await eventually(`${command[0]} names them all`, async () => {
      const { stdout, stderr } = await rw.cli(...command);
      return cases.every(({ file }) => `${stdout}${stderr}`.includes(file));
    });
  }
  await rw.daemon.restart('SIGKILL');
  await serves('all, from the start');
});

test('what changes all the time is read whole, or not at all', async () => {
  const arena = await openArena();
  const { rw, serves } = arena;
  const bad = await rw.addContainer('bad', { lines: nic(addressesOf(11)), policy: allow(PORTS[0]) });
  await rw.start(bad);
  const file = join(rw.policyFolder, 'containers/bad.yaml');
  // Long enough that a reader finds it half written, and valid at every line: half of it would open more.
  const closed = `egress:\n  default: allow\n${'# not yet\n'.repeat(50_000)}  rules: [{ drop: any, to: any }]\n`;
  let isWriting = true;
  const writing = (async () => {
    while (isWriting) {
      await writeFile(file, closed);
      await rm(file);
    }
  })();
  for (let round = 0; round < 5; round += 1) await serves('while another is written');
  isWriting = false;
  await writing;
  await writeFile(`${file}.new`, allow(PORTS[1]));
  await rename(`${file}.new`, file);
  const inside = await bad.inside();
  const reaches = async (port: number) =>
    (await probe(inside, { protocol: 'tcp', to: '192.0.2.2', port })) === 'allowed';
  await eventually('the last word holds', async () => (await reaches(PORTS[1])) && !(await reaches(PORTS[0])), 20_000);
});
