/** What is written when a wire goes, by the answers of an ip and a tc that have nothing to show. */
import { expect, it } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import { TrafficControl } from '../../../controller/traffic/traffic-control.ts';
import type { TrafficMemory } from '../../../controller/traffic/traffic-memory.ts';
import type { Wire } from '../../../render/desired.ts';
import type { InterfaceName } from '../../../render/names.ts';
import { stateOf, veth } from '../states.ts';

const wire = (a: string, b: string): Wire => ({ name: `${a} and ${b}`, a: veth(a), b: veth(b), ofHost: [veth(b)] });
const wired = (...wires: readonly Wire[]) => ({ ...stateOf(), wires });

const LOOK = { resync: true, links: new Set<string>(), edited: new Set<string>() };
const CHANGE = { ...LOOK, resync: false };

it('gives an interface back once, and takes that for no change of another program', async () => {
  const written: string[] = [];
  const run: Run = async (command, args, { input } = {}) => {
    if (command === 'ip' && input !== undefined) written.push(input);
    const stdout = command === 'ip' && args.includes('show') ? '2: eth: <BROADCAST,UP,PROMISC>' : '';
    return { stdout, stderr: '', exitCode: 0 };
  };
  let open: ReadonlySet<InterfaceName> | undefined = new Set([veth('goes'), veth('stays')]);
  const memory: TrafficMemory = {
    isMarked: async () => open !== undefined,
    promiscuous: async () => open ?? new Set(),
    mark: async (devs) => {
      open = devs;
    },
    unmark: async () => {
      open = undefined;
    },
  };
  const control = new TrafficControl(run, memory);
  const [goes, stays] = [wire('vethA', 'goes'), wire('vethB', 'stays')];
  await control.keep(wired(goes, stays), LOOK);
  expect(await control.keep(wired(stays), CHANGE)).toEqual([]);
  expect(await control.keep(wired(stays), LOOK)).toEqual([]);
  expect(written).toEqual(['link set dev goes promisc off\n']);
  expect(open).toEqual(new Set(['stays']));
});

it('keeps no pass from its end where the disk refuses to remember what is to be undone', async () => {
  const run: Run = async () => ({ stdout: '', stderr: '', exitCode: 0 });
  let isFull = true;
  const memory: TrafficMemory = {
    isMarked: async () => false,
    promiscuous: async () => new Set(),
    mark: async () => {
      if (isFull) throw new Error('ENOSPC: no space left on device');
    },
    unmark: async () => undefined,
  };
  const control = new TrafficControl(run, memory);
  const state = wired(wire('vethA', 'eth'));
  expect(await control.keep(state, CHANGE)).toEqual([]);
  expect(control.failures.map(({ why }) => why)).toEqual(Array(2).fill(expect.stringContaining('ENOSPC')));
  isFull = false;
  await control.keep(state, CHANGE);
  expect(control.failures.filter(({ why }) => why.includes('ENOSPC'))).toEqual([]);
});

it('takes nothing for written where the program itself fails', async () => {
  let isFailing = true;
  const written: string[] = [];
  const run: Run = async (command, _, { input } = {}) => {
    if (command !== 'ip' || input === undefined) return { stdout: '', stderr: '', exitCode: 0 };
    if (isFailing) return { stdout: '', stderr: 'Cannot open netlink socket: Too many open files\n', exitCode: 1 };
    written.push(input);
    return { stdout: '', stderr: '', exitCode: 0 };
  };
  const memory: TrafficMemory = {
    isMarked: async () => true,
    promiscuous: async () => new Set(),
    mark: async () => undefined,
    unmark: async () => undefined,
  };
  const control = new TrafficControl(run, memory);
  const state = wired(wire('vethA', 'eth'));
  await control.keep(state, LOOK);
  expect(control.failures).not.toEqual([]);
  isFailing = false;
  await control.keep(state, CHANGE);
  expect(written.join('')).toContain('link set dev eth up promisc on');
});
