import { expect, it } from 'vitest';
import { type DirtyParts, everythingDirty, mergeDirty, nothingDirty } from '../../../controller/pass/dirty.ts';
import { markEvents } from '../../../controller/session/mark-events.ts';
import { createHostEventBus } from '../../../watchers/events.ts';

const WEB = { lxcPath: '/lxc', name: 'web' };

function marker({ hasUplinks = false, hasBridges = false, hooked = '' } = {}) {
  const bus = createHostEventBus();
  let dirty = nothingDirty();
  let asked = 0;
  let askedLater = 0;
  const links: string[] = [];
  const off = markEvents(bus, {
    mark: () => {
      asked += 1;
      return dirty;
    },
    markLater: () => {
      askedLater += 1;
      return dirty;
    },
    exists: (dev) => dev !== 'vethgone',
    isVeth: (name) => name !== 'vethup' && /^(veth|fixed)/.test(name),
    ownerOf: (name) => (['vethweb', 'fixed0', 'vethgone'].includes(name) ? WEB : undefined),
    noteLink: (id, name, deleted) => void links.push(`${id} ${name} ${deleted ? 'gone' : 'there'}`),
    asksAtStart: ({ name }) => name === hooked,
    isWritten: (values) => values.get('net/ipv4/conf/vethweb/forwarding') === '1',
    isProxied: (address) => address === '192.0.2.10',
    hasUplinks: () => hasUplinks,
    hasBridges: () => hasBridges,
    isOurProcess: (pid) => pid === 7,
    isShaped: (dev) => dev === 'vethweb' || dev === 'rwl-0123456789',
    configFile: '/etc/routewall/routewall.yaml',
  });
  /** What was marked since the last time. */
  const marked = (): Partial<DirtyParts> => {
    const nothing = nothingDirty();
    const changed = Object.entries(dirty).filter(([key, value]) => {
      const before: unknown = Reflect.get(nothing, key);
      return value instanceof Map || value instanceof Set ? value.size > 0 : value !== before;
    });
    dirty = nothingDirty();
    return Object.fromEntries(changed);
  };
  return { bus, marked, off, links, asked: () => asked, askedLater: () => askedLater };
}

const inMain = { table: '', isDefault: false };

const runtimes = new Map([['/lxc/web', WEB]]);

it('reads a container again when its configuration or state changes, and only then', () => {
  const { bus, marked } = marker();
  bus.emit('containerConfigChanged', WEB);
  expect(marked()).toEqual({ configs: runtimes, runtimes });
  bus.emit('containerStateChanged', { ...WEB, state: 'RUNNING' });
  expect(marked()).toEqual({ runtimes });
  bus.emit('containerStateChanged', { ...WEB, state: 'STARTING' });
  expect(marked()).toEqual({});
});

it('keeps in mind which of its links a container has lost, and no others', () => {
  const { bus, marked, links } = marker();
  for (const deleted of [true, false]) bus.emit('linkChanged', { name: 'vethweb', deleted });
  bus.emit('linkChanged', { name: 'foo0', deleted: false });
  expect(links).toEqual(['/lxc/web vethweb gone', '/lxc/web vethweb there']);
  expect(marked()).toMatchObject({ runtimes });
});

it('asks nobody about one whose hook will tell', () => {
  const { bus, marked } = marker({ hooked: 'hooked' });
  for (const name of ['hooked', 'web']) bus.emit('containerStateChanged', { ...WEB, name, state: 'STARTING' });
  bus.emit('linkChanged', { name: 'vethNew', deleted: false });
  expect(marked()).toEqual({ runtimes });
  bus.emit('containerStateChanged', { ...WEB, name: 'hooked', state: 'RUNNING' });
  expect(marked()).toEqual({ runtimes: new Map([['/lxc/hooked', { ...WEB, name: 'hooked' }]]) });
});

it('asks those that are starting whose a new veth is, until they run or fail', () => {
  const { bus, marked } = marker();
  bus.emit('linkChanged', { name: 'vethNew', deleted: false });
  expect(marked()).toEqual({});
  bus.emit('containerStateChanged', { ...WEB, state: 'STARTING' });
  bus.emit('linkChanged', { name: 'vethNew', deleted: false });
  expect(marked()).toEqual({ runtimes });
  bus.emit('containerStateChanged', { ...WEB, state: 'ABORTING' });
  marked();
  bus.emit('linkChanged', { name: 'vethNew', deleted: false });
  expect(marked()).toEqual({});
});

it('writes again what the kernel drops with a veth, and compares all when an uplink changes', () => {
  const { bus, marked } = marker();
  bus.emit('linkChanged', { name: 'fixed0', deleted: false });
  expect(marked()).toEqual({ runtimes, veths: new Set(['fixed0']) });
  bus.emit('linkChanged', { name: 'vethweb', deleted: true });
  expect(marked()).toEqual({ runtimes });
  for (const name of ['eth0', 'vethup']) {
    bus.emit('linkChanged', { name, deleted: false });
    expect(marked()).toEqual({ links: 'all', resync: true });
    bus.emit('addressChanged', { dev: name, deleted: false });
    expect(marked()).toEqual({ links: new Set([name]) });
    // What reads all of them reads this one too.
    bus.emit('linkChanged', { name, deleted: false });
    bus.emit('addressChanged', { dev: name, deleted: false });
    expect(marked()).toEqual({ links: 'all', resync: true });
  }
});

it('looks at a veth that is no known one where NICs are on bridges', () => {
  for (const hasBridges of [false, true]) {
    const { bus, marked } = marker({ hasBridges });
    bus.emit('linkChanged', { name: 'vethNew', deleted: false });
    bus.emit('linkChanged', { name: 'vethNew', deleted: true });
    expect(marked()).toEqual(hasBridges ? { links: new Set(['vethNew']) } : {});
  }
});

it('minds the going of a gateway address and of a route of ours, and no other', () => {
  const { bus, marked } = marker();
  bus.emit('addressChanged', { dev: 'vethweb', deleted: false });
  bus.emit('addressChanged', { dev: 'vethother', deleted: true });
  bus.emit('routeChanged', { dev: 'vethweb', protocol: '119', ...inMain, deleted: false });
  bus.emit('routeChanged', { dev: 'vethweb', protocol: 'static', ...inMain, deleted: true });
  expect(marked()).toEqual({});
  bus.emit('addressChanged', { dev: 'vethweb', deleted: true });
  expect(marked()).toEqual({ veths: new Set(['vethweb']) });
  for (const protocol of ['119', 'routewall']) {
    bus.emit('routeChanged', { dev: 'vethweb', protocol, ...inMain, deleted: true });
    expect(marked()).toEqual({ veths: new Set(['vethweb']) });
  }
});

it('minds our own routers and rules only where a container has an uplink, and only their going', () => {
  const changes = (hasUplinks: boolean): (boolean | undefined)[] => {
    const { bus, marked } = marker({ hasUplinks });
    const route = { dev: 'eth1', table: '', isDefault: true, protocol: 'static', deleted: false };
    const ownRoute = { ...route, dev: '', table: '11937', protocol: '119', deleted: true };
    const rule = { protocol: '119', deleted: true };
    bus.emit('routeChanged', { ...route, isDefault: false });
    bus.emit('routeChanged', { ...ownRoute, deleted: false });
    bus.emit('ruleChanged', { ...rule, deleted: false });
    bus.emit('ruleChanged', { ...rule, protocol: 'static' });
    expect(marked()).toEqual({});
    const tells = [
      () => bus.emit('routeChanged', ownRoute),
      () => bus.emit('ruleChanged', rule),
      // Its routes go along, and nobody tells of them.
      () => bus.emit('addressChanged', { dev: 'eth1', deleted: true }),
      () => bus.emit('addressChanged', { dev: 'eth1', deleted: false }),
    ];
    return tells.map((tell) => {
      tell();
      return marked().uplinks;
    });
  };
  expect(changes(true)).toEqual([true, true, true, undefined]);
  expect(changes(false)).toEqual([undefined, undefined, undefined, undefined]);
});

it('reads anew what leads out when a default route comes or goes', () => {
  const { bus, marked } = marker();
  for (const deleted of [false, true]) {
    bus.emit('routeChanged', { dev: 'eth1', table: '', isDefault: true, protocol: 'ra', deleted });
    expect(marked()).toEqual({ links: 'all' });
  }
  bus.emit('routeChanged', { dev: '', table: '11937', isDefault: true, protocol: '119', deleted: false });
  expect(marked()).toEqual({});
});

it('compares the ruleset when someone else touched our tables, and never for its own commits', () => {
  const { bus, marked } = marker();
  const commit = { generation: 1, process: 'nft', deletesOurs: false };
  bus.emit('rulesetCommitted', { ...commit, pid: 7, touchesOurs: true });
  bus.emit('rulesetCommitted', { ...commit, pid: 8, touchesOurs: false });
  expect(marked()).toEqual({});
  for (const pid of [8, 0]) {
    bus.emit('rulesetCommitted', { ...commit, pid, touchesOurs: true });
    expect(marked()).toEqual({ resync: true });
    bus.emit('rulesetCommitted', { ...commit, pid, touchesOurs: true, deletesOurs: true });
    expect(marked()).toEqual({ resync: true, deleted: true });
  }
  bus.emit('rulesetCommitted', { ...commit, pid: 7, touchesOurs: true, deletesOurs: true });
  expect(marked()).toEqual({});
});

it('asks for no pass at once about what has ended', () => {
  const { bus, marked, asked, askedLater } = marker();
  for (const state of ['STOPPING', 'STOPPED', 'ABORTING'] as const)
    bus.emit('containerStateChanged', { ...WEB, state });
  bus.emit('linkChanged', { name: 'vethgone', deleted: true });
  bus.emit('addressChanged', { dev: 'vethgone', deleted: true });
  bus.emit('routeChanged', { dev: 'vethgone', protocol: '119', deleted: true, ...inMain });
  expect([asked(), askedLater()]).toEqual([0, 6]);
  expect(marked()).toEqual({ runtimes, veths: new Set(['vethgone']) });
});

it('asks for one at once where somebody takes away what a link has that stays', () => {
  const { bus, asked } = marker();
  bus.emit('addressChanged', { dev: 'vethweb', deleted: true });
  bus.emit('routeChanged', { dev: 'vethweb', protocol: '119', deleted: true, ...inMain });
  bus.emit('containerStateChanged', { ...WEB, state: 'RUNNING' });
  bus.emit('linkChanged', { name: 'vethweb', deleted: false });
  expect(asked()).toBe(4);
});

it('reads no setting that was told with the value that we gave it', () => {
  const { bus, marked, asked } = marker();
  const tell = (value: string): void =>
    bus.emit('sysctlChanged', { dev: 'vethweb', values: new Map([['net/ipv4/conf/vethweb/forwarding', value]]) });
  tell('1');
  expect(asked()).toBe(0);
  tell('0');
  expect(marked()).toEqual({ sysctls: new Set(['vethweb']) });
});

it('tells the main configuration from a policy file', () => {
  const { bus, marked, off, asked } = marker();
  bus.emit('policyFileChanged', { file: '/etc/routewall/routewall.yaml' });
  expect(marked()).toEqual({ config: true });
  bus.emit('policyFileChanged', { file: '/etc/routewall/containers/web.yaml' });
  expect(marked()).toEqual({ policies: new Set(['/etc/routewall/containers/web.yaml']) });
  bus.emit('sysctlChanged', { dev: 'all', values: new Map() });
  expect(marked()).toEqual({ sysctls: new Set(['all']) });
  bus.emit('proxyLost', { address: '192.0.2.10' });
  expect(marked()).toEqual({ proxies: new Set(['192.0.2.10']) });
  bus.emit('proxyLost', { address: '192.0.2.11' });
  off();
  bus.emit('sysctlChanged', { dev: 'all', values: new Map() });
  expect([marked(), asked()]).toEqual([{}, 4]);
});

it('loses no mark when two heaps of them become one', () => {
  const some: DirtyParts = { ...nothingDirty(), runtimes, veths: new Set(['a']), policies: new Set(['f']) };
  const other: DirtyParts = {
    ...nothingDirty(),
    veths: new Set(['b']),
    policies: new Set(['g']),
    sysctls: new Set(['eth0']),
  };
  expect(mergeDirty(some, other)).toEqual({
    ...nothingDirty(),
    runtimes,
    veths: new Set(['a', 'b']),
    policies: new Set(['f', 'g']),
    sysctls: new Set(['eth0']),
  });
  expect(mergeDirty(everythingDirty(), some)).toMatchObject({ policies: 'all', tree: true, resync: true, runtimes });
  expect(mergeDirty(some, nothingDirty())).toEqual(some);
});
