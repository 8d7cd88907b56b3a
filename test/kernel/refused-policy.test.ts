/** What the real nft refuses of one container keeps nobody else from theirs, at a change and at a repair. */
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
import { keyOf, nicOf, stateOf } from '../controller/states.ts';

/** Beyond what a port can be: nft says "Service out of range". */
const BAD = 70_000;

let folder: string;
let host: Namespace;
let stop: () => void = () => undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'routewall-refused-'));
  host = await createNamespace('host');
});
afterEach(async () => {
  stop();
  await cleanUp();
  await rm(folder, { recursive: true });
});

function open(): Applier {
  const enter = ['netns', 'exec', host.name];
  const start: StartResident = (command, args) => startResident('ip', [...enter, command, ...args]);
  const inside: Run = (command, args, options) => run('ip', [...enter, command, ...args], options);
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

/** The veth's rules each way, without what every chain begins and ends with. */
async function rulesOf(number: number): Promise<number> {
  const { stdout } = await host.run('nft', ['list', 'table', 'inet', 'routewall']);
  const [, chain = 'none'] = new RegExp(`map from_container[\\s\\S]*?"veth${number}" : goto (\\w+)`).exec(stdout) ?? [];
  const [, rules = ''] = new RegExp(`chain ${chain} \\{([\\s\\S]*?)\\n\\t\\}`).exec(stdout) ?? [];
  return rules.split('\n').filter((line) => /tcp dport/.test(line)).length;
}

it('pins a refusal at the first load to its NICs, which are shut, and loads each rule of the others once', async () => {
  const nics = [1, 2, 3, 4, 5, 6].map((number) => nicOf(number, number % 3 === 0 ? BAD : 80 + number));
  const { refused, enforced } = await open().resync(request(stateOf(...nics)));
  expect([...refused.keys()]).toEqual([keyOf(nicOf(3, 1)), keyOf(nicOf(6, 1))]);
  expect(refused.get(keyOf(nicOf(3, 1)))).toContain('out of range');
  expect(enforced.nics.size).toBe(6);
  expect(await Promise.all([1, 2, 3, 4, 5, 6].map(rulesOf))).toEqual([1, 1, 0, 1, 1, 0]);
});

it('does the same when it repairs a ruleset that is there, and leaves the bad NIC what it had', async () => {
  const applier = open();
  const good = [1, 2, 3, 4].map((number) => nicOf(number, 80 + number));
  await applier.resync(request(stateOf(...good)));
  await host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'forward_from']);
  const [one, two, three, four] = [nicOf(1, 91), nicOf(2, BAD), nicOf(3, 93), nicOf(4, BAD)];
  const { refused, enforced } = await applier.resync(request(stateOf(one, two, three, four)));
  expect([...refused.keys()]).toEqual([keyOf(two), keyOf(four)]);
  expect(enforced.nics.get(keyOf(two))).toBe(good[1]);
  expect(await Promise.all([1, 2, 3, 4].map(rulesOf))).toEqual([1, 1, 1, 1]);
  const { stdout } = await host.run('nft', ['list', 'chain', 'inet', 'routewall', 'forward_from']);
  expect(stdout.match(/ct state established accept/g)).toHaveLength(1);
  const again = await applier.resync(request(enforced));
  expect([again.written, again.refused.size]).toEqual([again.repaired.length, 0]);
});

it('keeps the old rules at a change, and takes the mended ones', async () => {
  const applier = open();
  await applier.apply(request(stateOf(nicOf(1, 80), nicOf(2, 80))));
  const { refused } = await applier.apply(request(stateOf(nicOf(1, BAD), nicOf(2, 82))));
  expect([...refused.keys()]).toEqual([keyOf(nicOf(1, 1))]);
  expect(await Promise.all([1, 2].map(rulesOf))).toEqual([1, 1]);
  expect((await applier.apply(request(stateOf(nicOf(1, 81), nicOf(2, 82))))).refused.size).toBe(0);
});
