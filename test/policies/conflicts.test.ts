/** Starts and stops among containers that want the same: compiled by themselves, they end in what compiling all gives. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Assembled, createAssembler, type HostInputs } from '../../controller/assemble.ts';
import { plain, TestHost } from './compile-host.ts';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];
const POLICIES = [
  'egress: { default: allow }\n',
  'routes: [198.51.100.16/28]\n',
  'routes: [198.51.100.20/30]\n',
  'publish: [{ tcp: 8000-8010 }]\ningress: { default: allow }\n',
  'publish: [{ tcp: 8010, to: 80, on: 192.0.2.1 }]\ningress: { default: allow }\n',
  'publish: [{ tcp: 25, on: 198.51.100.10 }]\n',
  'masquerade: 198.51.100.10\n',
  'egress: { uplink: eth7 }\n',
];
// Of others, of wider routes, of the host, and nobody's.
const ADDRESSES = ['198.51.100.10', '198.51.100.17', '198.51.100.21', '192.0.2.1', '203.0.113.1', '203.0.113.2'];
const CONFIGS = [
  ...ADDRESSES.map((address) => [`ipv4.address = ${address}/32`]),
  ['ipv4.address = 198.51.100.10/32', 'veth.ipv4.route = 198.51.100.16/29'],
  ['ipv4.address = 203.0.113.3/32', 'veth.ipv4.route = 192.0.2.128/25'],
  ['ipv4.address = 203.0.113.4/32', 'veth.pair = same'],
  ['link = br0', 'ipv4.address = 198.51.100.10/32', 'hwaddr = 02:00:00:00:00:07'],
  ['link = br0', 'ipv4.address = 203.0.113.5/32', 'hwaddr = 02:00:00:00:00:07'],
  ['link = br0', 'ipv4.address = 203.0.113.6/32'],
];

type Event = (host: TestHost) => unknown;
const name = fc.constantFrom(...NAMES);
const run: fc.Arbitrary<Event> = fc
  .tuple(name, fc.constantFrom('start', 'start', 'stop', 'same'))
  .map(([who, what]) => (host: TestHost) => {
    if (what === 'stop') host.stop(who);
    else host.start(who, what === 'same' ? 'same' : undefined);
  });
const edit: fc.Arbitrary<Event> = fc.oneof(
  fc.tuple(name, fc.constantFrom(...POLICIES)).map(
    ([who, text]) =>
      (host: TestHost) =>
        host.policy(`containers/${who}.yaml`, text),
  ),
  fc.tuple(name, fc.constantFrom(...CONFIGS)).map(
    ([who, lines]) =>
      (host: TestHost) =>
        host.configure(who, ...lines),
  ),
  fc
    .constantFrom('192.0.2.1/24', '198.51.100.17/32', '198.51.100.10/24')
    .map((address) => (host: TestHost) => host.link(address)),
);

/** Settings that are another object are compiled as if they had changed. */
const asIfAnother = (inputs: HostInputs): HostInputs => ({ ...inputs, config: { ...inputs.config } });
const shown = ({ desired, problems }: Assembled): unknown => [plain(desired), new Map([...problems].sort())];

it('whatever was edited before, and whoever lost to whom', () => {
  let byThemselves = 0;
  const fresh = fc.array(fc.constantFrom(...CONFIGS), { minLength: NAMES.length, maxLength: NAMES.length });
  // Mostly starts and stops, as it is on a host.
  const events = fc.array(fc.oneof({ weight: 4, arbitrary: run }, { weight: 1, arbitrary: edit }), { maxLength: 30 });
  fc.assert(
    fc.property(fresh, events, (configs, list) => {
      const host = new TestHost();
      for (const [index, lines] of configs.entries()) host.configure(NAMES[index] ?? '', ...lines);
      const [one, other] = [createAssembler(), createAssembler()];
      let before: Assembled | undefined;
      for (const apply of list) {
        apply(host);
        const inputs = host.inputs();
        const assembled = one.assemble(inputs);
        expect(shown(assembled)).toEqual(shown(other.assemble(asIfAnother(inputs))));
        // Only what compiles all of them makes the list of problems anew.
        const isKept = assembled.problems.size > 0 && assembled.problems === before?.problems;
        if (isKept && assembled.desired !== before?.desired) byThemselves += 1;
        before = assembled;
      }
    }),
    { numRuns: 300 },
  );
  expect(byThemselves).toBeGreaterThan(100);
});

it('of one that nobody else wants anything of, whoever has a problem', () => {
  const host = new TestHost()
    .configure('a', 'ipv4.address = 198.51.100.10/32')
    .configure('b', 'ipv4.address = 198.51.100.10/32')
    .configure('c', 'ipv4.address = 203.0.113.1/32');
  const assembler = createAssembler();
  assembler.assemble(host.start('b').inputs());
  const before = assembler.assemble(host.start('a').inputs());
  const after = assembler.assemble(host.start('c').inputs());
  expect(after.problems.size).toBe(1);
  expect(after.problems).toBe(before.problems);
  expect([...after.desired.nics.keys()]).toContain('/var/lib/lxc/c/0');
  // Who holds what another waits for is no such one, though it has no problem itself.
  const freed = assembler.assemble(host.stop('b').inputs());
  expect(freed.desired.nics.get('/var/lib/lxc/a/0')?.owned).toEqual(['198.51.100.10/32']);
});
