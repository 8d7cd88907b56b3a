/** A comparison that hangs is put aside for what changed, whichever of its readings it is, and is made later. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Applier } from '../../controller/apply/apply.ts';
import { openIpChannel } from '../../controller/commands/ip-channel.ts';
import { openNftChannel } from '../../controller/commands/nft-channel.ts';
import { type Run, run, type StartResident, startResident } from '../../controller/commands/run.ts';
import { createNftBackend } from '../../controller/nftables/nft-backend.ts';
import { describeHost } from '../../policies/host-network.ts';
import type { DesiredState } from '../../render/desired.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { unaskedClaims } from '../controller/probe/unasked.ts';
import { nicOf, stateOf } from '../controller/states.ts';

let folder: string;
let host: Namespace;
/** Of the words of a command: whether a child that never ends takes its place. */
let hangs: (line: string) => boolean = () => false;
/** Whether one that does nothing does. */
let lies: (line: string) => boolean = () => false;
let onHang: () => void = () => undefined;
let stop: () => void = () => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-put-aside-'));
  host = await createNamespace('host');
  hangs = () => false;
  lies = () => false;
});
afterEach(async () => {
  stop();
  await cleanUp();
  await rm(folder, { recursive: true });
});

function open(): Applier {
  const enter = ['netns', 'exec', host.name];
  const start: StartResident = (command, args) => startResident('ip', [...enter, command, ...args]);
  const inside: Run = (command, args, options) => {
    if (lies([command, ...args].join(' '))) return run('true', [], options);
    if (!hangs([command, ...args].join(' '))) return run('ip', [...enter, command, ...args], options);
    const answer = run('sh', ['-c', 'sleep 1000 & wait'], options);
    onHang();
    return answer;
  };
  const [nft, ip] = [openNftChannel(start, folder), openIpChannel(start)];
  stop = () => {
    nft.stop();
    ip.stop();
  };
  return new Applier({
    backend: createNftBackend({ nft, run: inside }),
    ip,
    announcer: { send: () => undefined, stop: () => undefined },
    claims: unaskedClaims(),
    run: inside,
    log: () => undefined,
  });
}

const request = (desired: DesiredState) => ({
  desired,
  network: describeHost([], { uplinks: [], guard: [], veths: new Set() }),
  lxcProxies: () => [],
});

const list = async (...words: readonly string[]): Promise<string> => (await host.run('nft', ['list', ...words])).stdout;

const EDIT = ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter'];
const isEdited = async (): Promise<boolean> =>
  (await list('chain', 'inet', 'routewall', 'forward_from')).includes('counter packets');

it.each([
  ['the list of our tables', /^nft -s list/, true],
  ['a throw-away namespace', /^unshare/, true],
  ['the routes', /route show/, false],
] as const)('serves who comes while %s hangs, and compares later', async (_, pattern, isEditKept) => {
  const applier = open();
  const [one, two] = [nicOf(1, 81), nicOf(2, 82)];
  await applier.resync(request(stateOf(one)));
  await host.run('nft', EDIT);
  const given = new AbortController();
  hangs = (line) => pattern.test(line);
  onHang = () => given.abort(new Error('somebody waits'));
  const { isPutAside } = await applier.resync(request(stateOf(one, two)), given.signal);
  expect(isPutAside).toBe(true);
  expect(await list('map', 'inet', 'routewall', 'from_container')).toContain('"veth2"');
  expect(await isEdited()).toBe(isEditKept);
  hangs = () => false;
  expect((await applier.resync(request(stateOf(one, two)), new AbortController().signal)).isPutAside).toBe(false);
  expect(await isEdited()).toBe(false);
});

it('writes nothing a second time where a list says nothing and exits well', async () => {
  const applier = open();
  await applier.resync(request(stateOf(nicOf(1, 81))));
  const before = await list('table', 'inet', 'routewall');
  lies = (line) => /^nft -s list/.test(line);
  await expect(applier.resync(request(stateOf(nicOf(1, 81))))).rejects.toThrow('File exists');
  expect(await list('table', 'inet', 'routewall')).toBe(before);
});

it('compares, whoever waits, where nothing is known of the kernel', async () => {
  const { isPutAside, enforced } = await open().resync(request(stateOf(nicOf(1, 81))), AbortSignal.abort());
  expect([isPutAside, enforced.nics.size]).toEqual([false, 1]);
});
