/** What an answer, silence, and a container's end mean for the claim of an address. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { StreamLines } from '../../../controller/commands/run.ts';
import { AddressClaims, type AddressClaimsOptions } from '../../../controller/probe/address-claims.ts';
import { readTaken, writeTaken } from '../../../controller/probe/taken-file.ts';
import { describeHost } from '../../../policies/host-network.ts';
import { parseAddress } from '../../../render/address.ts';
import type { NeighbourProxy } from '../../../render/desired.ts';
import { eventually } from '../../../sandbox/eventually.ts';
import { certain, keyOf, nicOf, veth } from '../states.ts';

const MAC = '02:00:00:00:00:01';
const NEIGHBOUR = '02:00:00:00:00:99';
const PROXY: NeighbourProxy = { address: certain(parseAddress('192.0.2.50')), dev: veth('eth0') };

const address = certain(parseAddress('192.0.2.1'));
const network = describeHost(
  [{ name: 'eth0', mac: MAC, loopback: false, addresses: [{ address, prefixLength: 24, scope: 'global' }] }],
  { uplinks: 'auto', guard: [], veths: new Set() },
);

/** One process that asks: what it says, and its end. */
interface Asker {
  say(...lines: string[]): void;
  end(): void;
}

function makeLink(options: Partial<AddressClaimsOptions> = {}) {
  const askers: Asker[] = [];
  let news = 0;
  const stream: StreamLines = async function* () {
    const said: string[][] = [];
    let isOver = false;
    let wake = (): void => undefined;
    askers.push({
      say: (...lines) => {
        said.push(lines);
        wake();
      },
      end: () => {
        isOver = true;
        wake();
      },
    });
    for (;;) {
      const next = said.shift();
      if (next !== undefined) yield next;
      else if (isOver) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  };
  const claims = new AddressClaims({
    ...{ stream, log: () => undefined, keep: () => undefined },
    onNews: () => {
      news += 1;
    },
    ...options,
  });
  claims.switch(true);
  /** A container on `vethN` wants the address, and the link is asked. */
  const want = async (number: number): Promise<Asker> => {
    const nic = { ...nicOf(number, 80), proxies: [PROXY] };
    const before = askers.length;
    expect(claims.admit([PROXY], network, new Map([[keyOf(nic), nic]]))).toEqual([]);
    return await eventually('the link is asked', () => askers.length > before && askers.at(-1));
  };
  const heard = (count: number): Promise<boolean> => eventually(`${count} news`, () => news >= count && true);
  const isAdmitted = (): boolean => claims.admit([PROXY], network, new Map()).length === 1;
  return { claims, want, heard, isAdmitted, news: () => news };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

test('silence claims it', async () => {
  const { claims, want, heard, isAdmitted } = makeLink();
  const asker = await want(1);
  expect(isAdmitted()).toBe(false);
  asker.say('silent');
  await heard(1);
  expect([...claims.due]).toEqual([PROXY]);
  expect(isAdmitted()).toBe(true);
  expect(claims.taken.size).toBe(0);
  asker.end();
  claims.stop();
});

test('an answer keeps it from the container until that one has stopped', async () => {
  const { claims, want, heard, isAdmitted } = makeLink();
  const asker = await want(1);
  asker.say(`0 ${NEIGHBOUR}`, 'silent');
  await heard(1);
  expect([...claims.taken]).toEqual([[PROXY.address, { dev: 'eth0', mac: NEIGHBOUR, veth: 'veth1' }]]);
  expect([...claims.due]).toEqual([]);
  expect(isAdmitted()).toBe(false);
  claims.release(['veth1']);
  expect(claims.taken.size).toBe(1);
  claims.release([]);
  expect(claims.taken.size).toBe(0);
  asker.end();
  claims.stop();
});

test('an answer that comes late takes the claim back', async () => {
  const { claims, want, heard, isAdmitted } = makeLink();
  const asker = await want(1);
  asker.say('silent');
  await heard(1);
  expect(isAdmitted()).toBe(true);
  asker.say(`0 ${NEIGHBOUR}`);
  await heard(2);
  expect(claims.taken.has(PROXY.address)).toBe(true);
  expect(claims.leave([PROXY])).toEqual([PROXY]);
  asker.end();
  claims.stop();
});

test('the host’s own answer, on another interface, is none', async () => {
  const { claims, want, heard } = makeLink();
  const asker = await want(1);
  asker.say(`0 ${MAC}`, 'silent');
  await heard(1);
  expect(claims.taken.size).toBe(0);
  asker.end();
  claims.stop();
});

test('the end of an older question is no silence of a newer one, and its answer is the newer container’s', async () => {
  const { claims, want, heard, isAdmitted, news } = makeLink();
  const older = await want(1);
  claims.leave([PROXY]);
  const newer = await want(2);
  older.say('silent');
  older.end();
  await turn();
  expect(news()).toBe(0);
  expect(isAdmitted()).toBe(false);
  newer.say(`0 ${NEIGHBOUR}`);
  await heard(1);
  claims.release(['veth2']);
  expect(claims.taken.get(PROXY.address)?.veth).toBe('veth2');
  newer.end();
  claims.stop();
});

test('a link that can’t be asked claims, and the log says so', async () => {
  const said: string[] = [];
  const claims = new AddressClaims({
    stream: () => {
      throw new Error('no perl here');
    },
    log: (_, text) => void said.push(text),
    onNews: () => undefined,
    keep: () => undefined,
  });
  claims.switch(true);
  expect(claims.admit([PROXY], network, new Map())).toEqual([]);
  await eventually('it is claimed', () => claims.admit([PROXY], network, new Map()).length === 1);
  expect(said).toEqual(["whether addresses are in use can't be asked: no perl here"]);
  claims.stop();
});

test('what the disk refuses to keep is kept as soon as it takes it, and told once', async () => {
  const said: string[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'routewall-taken-'));
  const runDirectory = join(folder, 'away');
  const { claims, want, heard } = makeLink({
    log: (_, text) => void said.push(text),
    keep: (taken) => writeTaken(runDirectory, taken),
  });
  const asker = await want(1);
  asker.say(`0 ${NEIGHBOUR}`, 'silent');
  await heard(1);
  await eventually('it was refused', () => said.length > 0);
  await turn();
  await mkdir(runDirectory);
  await eventually('it is kept', () => readTaken(runDirectory).size === 1);
  expect([...readTaken(runDirectory)]).toEqual([...claims.taken]);
  expect(said).toEqual([expect.stringContaining('ENOENT')]);
  asker.end();
  claims.stop();
  await rm(folder, { recursive: true });
});
