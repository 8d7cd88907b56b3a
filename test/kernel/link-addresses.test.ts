/** What is read of the host's links, their addresses apart from them, is what `ip address` says of both. */
import { afterEach, expect, it } from 'vitest';
import { readLinks } from '../../controller/kernel/observe.ts';
import { parseLinks } from '../../policies/host-network.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { runIn } from './namespace-commands.ts';

afterEach(cleanUp);

const LINES = [
  'link add eth0 type veth peer name far0',
  'link add br0 type bridge',
  'link add spare0 type veth peer name empty0',
  'link add ptp0 type veth peer name far1',
  'link property add dev spare0 altname another',
  'link set far0 master br0',
  ...['eth0', 'far0', 'br0', 'spare0'].map((name) => `link set ${name} up`),
  'link set spare0 arp off',
  'address add 192.0.2.1/24 dev eth0',
  'address add 192.0.2.2/24 dev eth0',
  'address add 192.0.2.3/32 dev eth0 scope link',
  'address add 192.0.2.4/32 dev eth0 scope host',
  'address add 192.0.2.5/32 dev eth0 scope 200',
  'address add 192.0.2.6/32 dev eth0 scope 77',
  'address add 198.51.100.1/24 brd + label eth0:web dev eth0 valid_lft 1000 preferred_lft 10',
  'address add 198.51.100.9 peer 203.0.113.9/30 dev ptp0',
  'address add 2001:db8::1/64 dev eth0 nodad',
  'address add 2001:db8::2/64 dev eth0',
  'address add fec0::1/64 dev br0 nodad',
  'address add 2001:db8:1::1 peer 2001:db8:2::1/96 dev ptp0 nodad',
  'address add fe80::1/128 dev spare0 nodad',
];

it('is what ip says, in its order', async () => {
  const host = await createNamespace('host');
  const run = runIn(host);
  await host.run('ip', ['-batch', '-'], { input: LINES.map((line) => `${line}\n`).join('') });
  const said = async () => parseLinks(JSON.parse((await host.run('ip', ['-j', 'address', 'show'])).stdout));
  const links = await readLinks(run);
  expect(links).toEqual(await said());
  const addresses = links.flatMap((link) => link.addresses);
  expect(addresses.map(({ address }) => address)).toContain('2001:db8:1::1');
  expect(addresses.map(({ scope }) => scope)).toEqual(expect.arrayContaining(['global', 'host', 'link', 'site', '77']));

  // More than one answer of the kernel's holds.
  const more = Array.from(
    { length: 2000 },
    (_, index) => `address add 10.1.${index >> 8}.${index & 255}/32 dev empty0\n`,
  );
  await host.run('ip', ['-batch', '-'], { input: more.join('') });
  const many = await readLinks(run);
  expect(many).toEqual(await said());
  expect(many.find(({ name }) => name === 'empty0')?.addresses).toHaveLength(2000);
});

it('is an error where the kernel gives none', async () => {
  const host = await createNamespace('host');
  const run = runIn(host);
  const refusing: typeof run = async (command, args, options) =>
    command === 'perl'
      ? { stdout: '', stderr: 'netlink: No buffer space available', exitCode: 1 }
      : run(command, args, options);
  await expect(readLinks(refusing)).rejects.toThrow('No buffer space');
});
