/** A container that calls itself another to the DHCP server neither gets that one's lease nor ends it. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  BRIDGE,
  BRIDGE_ADDRESSES,
  BRIDGE_ROUTES,
  bridgedNic,
  createBridge,
  type Leases,
  makeLeases,
  startDnsmasq,
  UDHCPC,
} from '../../sandbox/bridge.ts';
import type { Child } from '../../sandbox/child.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Container } from '../../sandbox/container.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { attack } from './hostile.ts';
import { OPEN, type Routewall, startRoutewall } from './routewall.ts';

const BOB = '02:16:3e:00:00:02';
const MALLORY = '02:16:3e:00:00:66';
const SERVER = BRIDGE_ADDRESSES[0].replace(/\/.*/, '');
const bytes = (mac: string): string => `bytes.fromhex("${mac.replaceAll(':', '')}")`;

/** From Mallory's own hardware address, with Bob's as the client's identifier, as udhcpc has it. */
const says = (type: string, options = '', own = '0.0.0.0'): string =>
  `Ether(dst="ff:ff:ff:ff:ff:ff", src="${MALLORY}")/IP(src="0.0.0.0", dst="255.255.255.255")/UDP(sport=68, dport=67)/BOOTP(ciaddr="${own}", xid=7, chaddr=${bytes(MALLORY)})/DHCP(options=[("message-type", "${type}"), ("client_id", b"\\x01" + ${bytes(BOB)}), ("server_id", "${SERVER}"), ${options}"end"])`;

let rw: Routewall;
let leases: Leases;
let bob: Container;
let mallory: Container;
let leased: string;
let server: Child;

beforeAll(async () => {
  leases = await makeLeases();
  rw = await startRoutewall({
    host: { routedPrefixes: BRIDGE_ROUTES },
    config: `leases: ${leases.pattern}\n`,
    policies: { 'containers/bob.yaml': OPEN, 'containers/mallory.yaml': OPEN },
    prepare: async ({ host }) => createBridge(host),
  });
  server = await startDnsmasq(rw.bed.host, leases);
  bob = await rw.addContainer('bob', { lines: bridgedNic([], { hwaddr: BOB }), command: UDHCPC });
  mallory = await rw.addContainer('mallory', { lines: bridgedNic([], { hwaddr: MALLORY }) });
  for (const container of [bob, mallory]) await rw.start(container);
  // From then on he asks for nothing: what the server believes of him is Mallory's doing.
  leased = await eventually(
    'Bob has a lease',
    async () => (await bob.exec('cat', ['/run/leased'])).stdout.trim() || false,
  );
  await eventually('it is in force', async () => (await owners()).includes(await bob.hostVeth()));
});
afterAll(cleanUp);

/** `"veth" . ADDRESS` */
const owners = async (): Promise<string> =>
  (await rw.bed.host.run('nft', ['list', 'set', 'bridge', 'routewall', 'owned4'])).stdout;

async function send(frames: string): Promise<void> {
  const hostMac = (await rw.bed.host.run('cat', [`/sys/class/net/${BRIDGE}/address`])).stdout.trim();
  await attack({ place: await mallory.inside(), own: [leased, '::'], hostMac }, [['DHCP', frames]]);
}

async function steal(): Promise<void> {
  const after = server.lines.length;
  await send(`[${says('discover')}, ${says('request', `("requested_addr", "${leased}"), `)}]`);
  await server.waitForLine(new RegExp(`DHCPACK.* ${leased} ${MALLORY}`), { after, timeout: 20_000 });
  await eventually('the server believes it', async () => (await readFile(leases.file, 'utf8')).includes(MALLORY));
}

async function expectBobs(): Promise<void> {
  // What the daemon makes of the file comes before its answer to this.
  await rw.cli('apply');
  const found = await owners();
  expect([found.includes(await bob.hostVeth()), found.includes(await mallory.hostVeth())]).toEqual([true, false]);
}

test('keeps its address though the server has given it to another, or taken it back, while it runs', async () => {
  await steal();
  await expectBobs();
  await send(says('release', '', leased));
  await eventually('it believes that too', async () => (await readFile(leases.file, 'utf8')).trim() === '');
  await expectBobs();
  await steal();
  await expectBobs();
});

test('is nobody to be kept for once it has stopped', async () => {
  await rw.stop(bob);
  await send(says('release', '', leased));
  await eventually('it is given back', async () => (await readFile(leases.file, 'utf8')).trim() === '');
  await steal();
  await eventually('and so do we', async () => (await owners()).includes(await mallory.hostVeth()));
});
