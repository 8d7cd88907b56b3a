/** Desired state out of everything that was read: whatever way the host took there, and who wins what two want. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Assembled, createAssembler, problemsOf } from '../../controller/pass/assemble.ts';
import { NO_FACTS } from '../../policies/uplink-facts.ts';
import { changedNicKeys } from '../../render/changed-nics.ts';
import type { DesiredState } from '../../render/desired.ts';
import { plain, TestHost } from './compile-host.ts';

const SSH = 'ingress:\n  rules:\n    - allow: ssh\n      from: any\n';
const key = (name: string): string => `/var/lib/lxc/${name}/0`;
const nicOf = ({ desired }: Assembled, name: string) => desired.nics.get(key(name)) ?? expect.unreachable();
const copyOf = (state: DesiredState): DesiredState => ({ ...state, nics: new Map(state.nics) });
const said = (host: TestHost, assembled: Assembled): string[] =>
  host.inputs().containers.flatMap((container) => problemsOf(assembled, container).map(({ message }) => message));

describe('any way to the same host', () => {
  const NAMES = ['a', 'b', 'c', 'd'];
  const POLICIES = [
    SSH,
    `# the same at other lines\n${SSH}`,
    'egress:\n  default: allow\n',
    'use: [base]\ningress:\n  rules:\n    - allow: http\n      from: [container:a, set:some]\n',
    'egress:\n  log: true\n',
    `routes: [203.0.113.128/28]\n${SSH}`,
  ];
  const routed = (index: number, policy: string): string =>
    policy.replace('203.0.113.128/28', `203.0.113.${index * 16}/28`);

  type Event = (host: TestHost) => unknown;
  const event: fc.Arbitrary<{ readonly about: string; readonly apply: Event }> = fc.oneof(
    fc.tuple(fc.nat(3), fc.boolean(), fc.boolean()).map(([index, up, other]) => {
      const name = NAMES[index] ?? '';
      const start: Event = (host) => host.start(name, other ? `veth${name}2` : `veth${name}`);
      return { about: `run ${name}`, apply: up ? start : (host: TestHost) => host.stop(name) };
    }),
    fc.tuple(fc.nat(3), fc.nat(POLICIES.length - 1)).map(([index, which]) => ({
      about: `policy ${index}`,
      apply: (host: TestHost) => host.policy(`containers/${NAMES[index]}.yaml`, routed(index, POLICIES[which] ?? '')),
    })),
    fc.tuple(fc.nat(3), fc.boolean(), fc.boolean()).map(([index, six, gateway]) => ({
      about: `config ${index}`,
      apply: (host: TestHost) =>
        host.configure(
          NAMES[index] ?? '',
          `ipv4.address = 192.0.2.${index + 10}/24`,
          ...(six ? [`ipv6.address = 2001:db8::${index + 10}/64`] : []),
          ...(gateway ? ['ipv4.gateway = 169.254.0.1'] : []),
        ),
    })),
    fc.constantFrom('2001:db8::1/64', '2001:db8:1::1/64').map((address) => ({
      about: 'link',
      apply: (host: TestHost) => host.link('192.0.2.1/24', address),
    })),
    fc.constantFrom('192.0.2.7\n', '', '192.0.2.1\n192.0.2.3\n192.0.2.5\n192.0.2.7\n192.0.2.9\n').map((text) => ({
      about: 'set',
      apply: (host: TestHost) => host.policy('sets/some.txt', text),
    })),
  );

  const fresh = (): TestHost => {
    const host = new TestHost()
      .policy('profiles/base.yaml', 'egress:\n  default: reject\n')
      .policy('sets/some.txt', '');
    for (const [index, name] of NAMES.entries()) host.configure(name, `ipv4.address = 192.0.2.${index + 10}/24`);
    return host.policy('containers/d.yaml', SSH);
  };

  it('ends in the same desired state, however its events were batched', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(event, fc.boolean()), { maxLength: 14 }), (events) => {
        const host = fresh();
        const assembler = createAssembler();
        let before = assembler.assemble(host.inputs()).desired;
        for (const [{ apply }, pass] of events) {
          apply(host);
          if (!pass) continue;
          const after = assembler.assemble(host.inputs()).desired;
          const known = [...changedNicKeys(before, after)].sort();
          // Of copies nobody noted anything.
          expect(known).toEqual([...changedNicKeys(copyOf(before), copyOf(after))].sort());
          before = after;
        }
        const inputs = host.inputs();
        expect(plain(assembler.assemble(inputs).desired)).toEqual(plain(createAssembler().assemble(inputs).desired));
      }),
      { numRuns: 150 },
    );
  });

  it('ends in the same desired state, in whatever order events came that are about different things', () => {
    const different = fc.uniqueArray(event, { selector: ({ about }) => about, maxLength: 8 });
    const both = different.chain((events) =>
      fc.tuple(
        fc.constant(events),
        fc.shuffledSubarray(events, { minLength: events.length, maxLength: events.length }),
      ),
    );
    const run = (events: readonly { readonly apply: Event }[]): unknown => {
      const host = fresh();
      const assembler = createAssembler();
      assembler.assemble(host.inputs());
      let last = assembler.assemble(host.inputs());
      for (const { apply } of events) {
        apply(host);
        last = assembler.assemble(host.inputs());
      }
      return plain(last.desired);
    };
    fc.assert(
      fc.property(both, ([one, other]) => {
        expect(run(other)).toEqual(run(one));
      }),
      { numRuns: 100 },
    );
  });

  it('keeps the identity of what did not change', () => {
    const host = fresh().start('a').start('b').policy('containers/a.yaml', SSH);
    const assembler = createAssembler();
    const before = assembler.assemble(host.inputs());
    const after = assembler.assemble(host.start('c').inputs());
    expect(after.desired.nics.get(key('a'))).toBe(before.desired.nics.get(key('a')));
    expect(after.desired.host).toBe(before.desired.host);
    const edited = assembler.assemble(host.policy('containers/a.yaml', POLICIES[2] ?? '').inputs());
    expect(edited.desired.nics.get(key('b'))).toBe(before.desired.nics.get(key('b')));
    expect(edited.desired.nics.get(key('a'))).not.toBe(before.desired.nics.get(key('a')));
  });
});

describe('whatever changes of a container that runs', () => {
  const ADDRESS = 'ipv4.address = 192.0.2.10/24';
  type State = (host: TestHost) => TestHost;
  const policy =
    (text: string): State =>
    (host) =>
      host.policy('containers/a.yaml', text);
  const plainly: State = (host) =>
    host.configure('a', ADDRESS).link('192.0.2.1/24').start('a').policy('containers/a.yaml', SSH);
  const states: readonly (readonly [string, State])[] = [
    ['nothing', (host) => host],
    ['its rules', policy('egress: {default: allow}\n')],
    ['its rules one way', policy(`egress: {default: allow}\n${SSH}`)],
    ['only where they stand', policy(`# lower\n${SSH}`)],
    ['its limits', policy(`limits: {egress: 100Mbit}\n${SSH}`)],
    ['its translations', policy(`masquerade: true\npublish: [{tcp: 8080, to: 22}]\n${SSH}`)],
    ['its tables', policy(`tables: [120]\n${SSH}`)],
    ['other tables', policy(`tables: [121]\n${SSH}`)],
    ['its uplink', policy(`uplink: eth0\n${SSH}`)],
    ['its gateway', policy(`uplink: eth0\ngateway: 192.0.2.131\n${SSH}`)],
    ['its routes', policy(`routes: [203.0.113.0/28]\n${SSH}`)],
    ['its addresses', (host) => host.configure('a', ADDRESS, 'ipv6.address = 2001:db8::10/64')],
    ['its gateway inside', (host) => host.configure('a', ADDRESS, 'ipv4.gateway = 169.254.0.1')],
    ['its veth', (host) => host.start('a', 'vethother')],
    ["the host's network", (host) => host.link('198.51.100.1/24')],
    ['an address of the host', (host) => host.link('192.0.2.10/24')],
  ];

  it.each(states)('%s, and then anything else: it is what a fresh start makes of it', (_what, state) => {
    for (const [what, next] of states) {
      const assembler = createAssembler();
      const host = plainly(new TestHost());
      const assemble = (by = assembler) => plain(by.assemble({ ...host.inputs(), uplinkFacts: NO_FACTS }).desired);
      assemble();
      state(host);
      assemble();
      next(host);
      expect(assemble(), what).toEqual(assemble(createAssembler()));
    }
  });
});

describe('two containers that claim one address', () => {
  const clash = (): TestHost =>
    new TestHost()
      .configure('alpha', 'ipv4.address = 192.0.2.10/24', 'ipv6.address = 2001:db8::a/64')
      .configure('zeta', 'ipv4.address = 192.0.2.10/24');

  it('the one that runs has it, and keeps it when the other starts, however often is looked', () => {
    const host = clash().start('zeta');
    const assembler = createAssembler();
    expect(nicOf(assembler.assemble(host.inputs()), 'zeta').owned).toEqual(['192.0.2.10/32']);
    host.start('alpha');
    for (let pass = 0; pass < 3; pass += 1) {
      // Something else happens in between; and the first by name must not take what it lost.
      const assembled = assembler.assemble(host.link('192.0.2.1/24', `2001:db8:${pass}::1/64`).inputs());
      expect(nicOf(assembled, 'zeta').owned).toEqual(['192.0.2.10/32']);
      expect(nicOf(assembled, 'alpha').owned).toEqual(['2001:db8::a/128']);
      expect(nicOf(assembled, 'alpha').routes.map(({ prefix }) => prefix)).toEqual(['2001:db8::a/128']);
      expect(said(host, assembled)).toEqual([
        '192.0.2.10 belongs to container zeta: this one gets it when zeta stops, or give it another address',
      ]);
    }
  });

  it('the other gets it when the one that has it stops, and keeps it then', () => {
    const host = clash().start('zeta').start('alpha');
    const assembler = createAssembler();
    expect(nicOf(assembler.assemble(host.inputs()), 'alpha').owned).toContain('192.0.2.10/32');
    const stopped = assembler.assemble(host.stop('alpha').inputs());
    expect(nicOf(stopped, 'zeta').owned).toEqual(['192.0.2.10/32']);
    const back = assembler.assemble(host.start('alpha').inputs());
    expect(nicOf(back, 'zeta').owned).toEqual(['192.0.2.10/32']);
    expect(nicOf(back, 'alpha').owned).toEqual(['2001:db8::a/128']);
  });

  it('whoever had it in an earlier run keeps it in the next', () => {
    const host = new TestHost()
      .configure('a', 'ipv4.address = 198.51.100.9/32')
      .configure('b', 'ipv4.address = 198.51.100.9/32');
    host.start('a', 'vetha').start('b', 'vethb');
    const adopted = createAssembler(new Set(['vethb 198.51.100.9/32'])).assemble(host.inputs());
    expect(nicOf(adopted, 'b').owned).toEqual(['198.51.100.9/32']);
    expect(nicOf(adopted, 'a').owned).toEqual([]);
    expect(nicOf(createAssembler().assemble(host.inputs()), 'a').owned).toEqual(['198.51.100.9/32']);
  });

  it('neither loses it when the conflict ends by an edit', () => {
    const host = clash().start('zeta').start('alpha');
    const assembler = createAssembler();
    assembler.assemble(host.inputs());
    const mended = assembler.assemble(host.configure('zeta', 'ipv4.address = 192.0.2.11/24').inputs());
    expect(nicOf(mended, 'zeta').owned).toEqual(['192.0.2.11/32']);
    expect(nicOf(mended, 'alpha').owned).toContain('192.0.2.10/32');
    expect(said(host, mended)).toEqual([]);
  });

  it('a veth that two name stays with whom it is', () => {
    const host = new TestHost()
      .configure('alpha', 'ipv4.address = 192.0.2.10/24', 'veth.pair = same')
      .configure('zeta', 'ipv4.address = 192.0.2.11/24', 'veth.pair = same')
      .start('zeta', 'same');
    const assembler = createAssembler();
    assembler.assemble(host.inputs());
    const both = assembler.assemble(host.start('alpha', 'same').inputs());
    expect([...both.desired.nics.keys()]).toEqual([key('zeta')]);
    expect(said(host, both)).toHaveLength(1);
  });
});

describe('the sysctls of a NIC', () => {
  const sysctlsOf = (...lines: string[]): string[] => {
    const host = new TestHost().configure('web', ...lines).start('web');
    return nicOf(createAssembler().assemble(host.inputs()), 'web').sysctls.map(
      ({ key: name, value, replaces }) => `${name}=${value}${replaces === undefined ? '' : ` instead of ${replaces}`}`,
    );
  };

  it('forward IPv4 between its veth and the uplinks alone', () => {
    expect(sysctlsOf('ipv4.address = 192.0.2.10/24')).toEqual([
      'net/ipv4/conf/vethweb/forwarding=1',
      'net/ipv4/conf/eth0/forwarding=1',
      'net/ipv4/ipfrag_time=2 instead of 30',
      'net/ipv4/ipfrag_high_thresh=67108864 instead of 4194304',
    ]);
  });

  it('forward IPv6 everywhere, once the uplinks would still hear their router; and answer for it', () => {
    expect(sysctlsOf('ipv6.address = 2001:db8::10/64')).toEqual([
      'net/ipv6/conf/eth0/accept_ra=2 instead of 1',
      'net/ipv6/conf/vethweb/accept_ra=0',
      'net/ipv6/conf/all/forwarding=1',
      'net/ipv6/conf/all/proxy_ndp=1',
      'net/ipv6/conf/eth0/proxy_ndp=1',
      'net/netfilter/nf_conntrack_frag6_timeout=2 instead of 60',
      'net/netfilter/nf_conntrack_frag6_high_thresh=67108864 instead of 4194304',
    ]);
  });

  it('answer for every address where the gateway is a device', () => {
    expect(sysctlsOf('ipv4.address = 203.0.113.10/32', 'ipv4.gateway = dev')).toContain(
      'net/ipv4/conf/vethweb/proxy_arp=1',
    );
  });
});

describe('a prefix that holds an address of the host', () => {
  it('is not given to a container, which could speak for the host then', () => {
    const host = new TestHost()
      .link('192.0.2.1/24')
      .configure('a', 'ipv4.address = 198.51.100.9/32', 'veth.ipv4.route = 192.0.2.0/28');
    const assembled = createAssembler().assemble(host.start('a', 'vetha').inputs());
    expect(nicOf(assembled, 'a').owned).toEqual(['198.51.100.9/32']);
    expect(said(host, assembled)).toEqual(['192.0.2.0/28 holds 192.0.2.1, an address of this host: leave it out']);
  });
});
