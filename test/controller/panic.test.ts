/** The panic without a kernel: what orders make of its state, what a damaged file means, and what is said of it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Run } from '../../controller/commands/run.ts';
import { describePanic, whySealed } from '../../controller/panic/describe-panic.ts';
import { Panic } from '../../controller/panic/panic.ts';
import { type PanicScope, sealFor } from '../../controller/panic/panic-scope.ts';
import {
  isSealed,
  NO_PANIC,
  type PanicState,
  readPanic,
  turn,
  viewPanic,
  writePanic,
} from '../../controller/panic/panic-state.ts';
import { PanicTable } from '../../controller/panic/panic-table.ts';
import { realDisk } from '../../controller/state/durable-disk.ts';
import { parseInterfaceName, parseInterfacePattern } from '../../render/names.ts';
import { diffSeals, isSameButNames, renderSeal } from '../../render/panic.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-panic-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const [ANNE, EVE] = [
  { since: '2026-01-02T03:04:05.678Z', by: 'anne' },
  { since: '2026-02-02T03:04:05.678Z', by: 'eve' },
];
const on = (...containers: string[]) => ({ on: true, containers, by: 'eve' });
const off = (...containers: string[]) => ({ on: false, containers, by: 'eve' });
const state = (all: PanicState['all'], ...names: string[]): PanicState => ({
  ...{ all, damaged: null },
  containers: new Map(names.map((name) => [name, ANNE])),
});

describe('orders', () => {
  test.each([
    ['seals all', NO_PANIC, on(), state(EVE)],
    ['keeps the time of what is sealed', state(ANNE, 'web'), on(), state(ANNE, 'web')],
    ['keeps the time of a container', state(null, 'web'), on('web'), state(null, 'web')],
    ['opens a container', state(null, 'web', 'db'), off('web'), state(null, 'db')],
    ['opens all, but for what was sealed by name', state(ANNE, 'web'), off(), state(null, 'web')],
    ['opens what is open', NO_PANIC, off(), NO_PANIC],
    ['opens what could not be read', { ...state(ANNE), damaged: 'no JSON' }, off(), NO_PANIC],
  ])('%s', (_, before, order, after) => {
    expect(viewPanic(turn(before, order, EVE.since))).toEqual(viewPanic(after));
  });

  test.each([
    [state(ANNE, 'web'), off('web'), 'all containers are sealed: routewall panic off, without -n, ends that'],
    [state(null, 'web'), off(), 'only web is sealed: routewall panic off -n web'],
    [state(null, 'web', 'db'), off(), 'only web, db are sealed: routewall panic off -n web -n db'],
  ])('refuses what would do nothing', (before, order, message) => {
    expect(() => turn(before, order, EVE.since)).toThrow(message);
  });
});

describe('what ends it', () => {
  const ends = (of: PanicState) => describePanic(of).map((line) => line.replace(/^.*end it: /, ''));

  test('is told in the order in which it is done', () => {
    expect(ends(state(ANNE))).toEqual(['routewall panic off']);
    expect(ends(state(null, 'web'))).toEqual(['routewall panic off -n web']);
    expect(ends(state(ANNE, 'web'))).toEqual([
      'routewall panic off',
      'routewall panic off, then routewall panic off -n web',
    ]);
    expect(whySealed(state(ANNE, 'web'), 'web')).toMatch(/: routewall panic off, then routewall panic off -n web$/);
    expect(whySealed(state(ANNE, 'web'), 'db')).toMatch(/ by anne: routewall panic off$/);
  });
});

describe('the file', () => {
  test('gives back what was written, and goes with the panic', async () => {
    for (const written of [state(ANNE), state(null, 'web', 'a\nb'), state(EVE, 'web')]) {
      await writePanic(realDisk, folder, written);
      expect(await readPanic(folder)).toEqual(written);
    }
    await writePanic(realDisk, folder, NO_PANIC);
    expect(await readPanic(folder)).toEqual(NO_PANIC);
  });

  test('seals all wherever it is cut or garbage', async () => {
    await writePanic(realDisk, folder, state(null, 'web'));
    const text = await readFile(join(folder, 'panic.json'), 'utf8');
    // The last byte is a line break.
    for (let length = 0; length < text.length - 1; length += 1) {
      await writeFile(join(folder, 'panic.json'), text.slice(0, length));
      expect(isSealed(await readPanic(folder), 'other')).toBe(true);
    }
    for (const garbage of ['null', '[]', '{}', '{"all":null}', '{"all":{},"containers":[]}', '\0'.repeat(99)]) {
      await writeFile(join(folder, 'panic.json'), garbage);
      const read = await readPanic(folder);
      expect([garbage, isSealed(read, 'other'), describePanic(read).join()]).toEqual([
        ...[garbage, true, expect.stringContaining("since it can't be read which ones shall be")],
      ]);
    }
  });
});

const names = (...texts: string[]) => texts.flatMap((text) => parseInterfaceName(text) ?? []);
const SCOPE: PanicScope = {
  config: { guard: ['veth*'].flatMap((text) => parseInterfacePattern(text) ?? []), uplinks: names('veth-up') },
  containers: () => [],
  nics: () => [],
};

test('seals by patterns what has no other name, and never an uplink', () => {
  const seal = sealFor(state(ANNE), SCOPE);
  expect(seal === undefined ? [] : renderSeal(seal)).toEqual([
    'create table inet routewall_panic',
    'add set inet routewall_panic sealed { type ifname; }',
    'add chain inet routewall_panic from { type filter hook prerouting priority -451; policy accept; }',
    'add rule inet routewall_panic from iifname @sealed drop',
    'add rule inet routewall_panic from iifname "veth*" iifname != "veth-up" drop',
    'add chain inet routewall_panic forwarded { type filter hook forward priority filter - 11; policy accept; }',
    'add rule inet routewall_panic forwarded oifname @sealed drop',
    'add rule inet routewall_panic forwarded oifname "veth*" oifname != "veth-up" drop',
    'add chain inet routewall_panic sent { type filter hook output priority filter - 11; policy accept; }',
    'add rule inet routewall_panic sent oifname @sealed drop',
    'add rule inet routewall_panic sent oifname "veth*" oifname != "veth-up" drop',
    'create table arp routewall_panic',
    'add set arp routewall_panic sealed { type ifname; }',
    'add chain arp routewall_panic from { type filter hook input priority filter - 11; policy accept; }',
    'add rule arp routewall_panic from iifname @sealed drop',
    'add rule arp routewall_panic from iifname "veth*" iifname != "veth-up" drop',
    'add chain arp routewall_panic sent { type filter hook output priority filter - 11; policy accept; }',
    'add rule arp routewall_panic sent oifname @sealed drop',
    'add rule arp routewall_panic sent oifname "veth*" oifname != "veth-up" drop',
  ]);
});

test('seals by name alone on bridges, where others have such names too', () => {
  const [first, second] = names('veth0', 'veth1');
  const seal = sealFor(state(ANNE), SCOPE);
  if (seal === undefined || first === undefined || second === undefined) throw new Error('nothing to seal');
  const [one, two] = [new Set([first]), new Set([second])].map((ports) => ({ ...seal, ports }));
  if (one === undefined || two === undefined) throw new Error('nothing to seal');
  expect(renderSeal(one).filter((command) => command.includes(' bridge '))).toEqual([
    'create table bridge routewall_panic',
    'add set bridge routewall_panic sealed { type ifname; }',
    'add element bridge routewall_panic sealed { "veth0" }',
    'add chain bridge routewall_panic from { type filter hook prerouting priority -311; policy accept; }',
    'add rule bridge routewall_panic from iifname @sealed drop',
    'add chain bridge routewall_panic forwarded { type filter hook forward priority -311; policy accept; }',
    'add rule bridge routewall_panic forwarded oifname @sealed drop',
    'add chain bridge routewall_panic sent { type filter hook output priority -311; policy accept; }',
    'add rule bridge routewall_panic sent oifname @sealed drop',
  ]);
  expect([isSameButNames(one, two), isSameButNames(seal, one)]).toEqual([true, false]);
  expect(diffSeals(one, two)).toEqual([
    'add element bridge routewall_panic sealed { "veth1" }',
    'delete element bridge routewall_panic sealed { "veth0" }',
  ]);
});

test('says who sealed what, and what ends it', () => {
  expect(describePanic(state(ANNE, 'web'))).toEqual([
    'panic: all containers are sealed since 2026-01-02 03:04:05 UTC by anne; end it: routewall panic off',
    'panic: web is sealed since 2026-01-02 03:04:05 UTC by anne; end it: routewall panic off, then routewall panic off -n web',
  ]);
  expect(whySealed(state(null, 'web'), 'db')).toBeUndefined();
});

test('a comparison that would wait for ever keeps no order waiting, also where it came before it', async () => {
  const list: Run = (_command, _words, { signal } = {}) =>
    signal === undefined
      ? Promise.resolve({ stdout: '', stderr: 'Error: No such file or directory', exitCode: 1 })
      : new Promise((_resolve, reject) => {
          const end = (): void => reject(signal.reason);
          if (signal.aborted) end();
          else signal.addEventListener('abort', end);
        });
  let commit = (): void => undefined;
  const committed = new Promise<undefined>((resolve) => {
    commit = () => resolve(undefined);
  });
  const nothing = (): Promise<void> => Promise.resolve();
  const panic = new Panic({
    ...{ stateDirectory: folder, log: () => undefined, keepForBoot: nothing, onSealed: () => undefined },
    ...{
      disk: realDisk,
      table: new PanicTable({ run: list, commit: () => committed, flags: [], pid: () => undefined }),
    },
  });
  const first = panic.order(on('web'));
  const compared = panic.verify();
  const second = panic.order(on('db'));
  commit();
  await expect(compared).rejects.toThrow('a panic is ordered');
  expect(await Promise.all([first, second])).toEqual([true, true]);
  expect([isSealed(panic.state, 'web'), isSealed(panic.state, 'db')]).toEqual([true, true]);
});

describe('a disk that is full', () => {
  const committed: string[][] = [];
  async function open(): Promise<{ panic: Panic; fill: (isFull: boolean) => void }> {
    let isFull = false;
    committed.length = 0;
    const run = () => Promise.resolve({ stdout: '', stderr: 'Error: No such file or directory', exitCode: 1 });
    const commit = (commands: readonly string[]): Promise<undefined> => {
      committed.push([...commands]);
      return Promise.resolve(undefined);
    };
    const refuse = (): Promise<void> => (isFull ? Promise.reject(new Error('ENOSPC')) : Promise.resolve());
    const panic = new Panic({
      ...{ stateDirectory: folder, log: () => undefined, keepForBoot: refuse, onSealed: () => undefined },
      disk: {
        ...realDisk,
        write: (path, text) => refuse().then(() => realDisk.write(path, text)),
        remove: (path) => refuse().then(() => realDisk.remove(path)),
      },
      table: new PanicTable({ run, commit, flags: [], pid: () => undefined }),
    });
    await panic.open();
    await panic.cover(SCOPE);
    return {
      panic,
      fill: (full) => {
        isFull = full;
      },
    };
  }

  test('keeps nobody from sealing, and the command says that it is not for good', async () => {
    const { panic, fill } = await open();
    fill(true);
    await expect(panic.order(on('web'))).rejects.toThrow('sealed now, but a restart or reboot would end it');
    expect(committed.flat()).toContain('create table inet routewall_panic');
    expect(isSealed(panic.state, 'web')).toBe(true);
    expect(await readPanic(folder)).toEqual(NO_PANIC);
    fill(false);
    // The next resync has the room.
    await panic.verify();
    expect(isSealed(await readPanic(folder), 'web')).toBe(true);
  });

  test('opens nothing that would be sealed again after a restart', async () => {
    const { panic, fill } = await open();
    await panic.order(on());
    committed.length = 0;
    fill(true);
    await expect(panic.order(off())).rejects.toThrow('still sealed');
    expect([isSealed(panic.state, 'web'), committed]).toEqual([true, []]);
    fill(false);
    await panic.order(off());
    expect(committed.flat()).toEqual(['delete table inet routewall_panic', 'delete table arp routewall_panic']);
  });
});
