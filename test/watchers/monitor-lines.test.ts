import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseIpMonitorLine } from '../../watchers/ip-monitor.ts';
import { lineSplitter } from '../../watchers/line-splitter.ts';
import { parseLxcMonitorLine } from '../../watchers/lxc-monitor.ts';
import { parseNftMonitorLine } from '../../watchers/nft-monitor.ts';

const recorded = (name: string) =>
  readFileSync(new URL(`../../fixtures/recorded/${name}`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');

describe('lines of lxc-monitor', () => {
  it('understands every recorded line, and drops those that a line break in a name tore apart', () => {
    const lines = recorded('lxc-monitor.txt');
    const parsed = lines.map(parseLxcMonitorLine);
    expect(lines.filter((_, at) => parsed[at] === undefined)).toEqual(
      ['STARTING', 'ABORTING', 'STOPPING', 'STOPPED'].flatMap((state) => ["'new", `line' changed state to [${state}]`]),
    );
    expect(parsed.filter((line) => line?.name === "a b]'q").map((line) => line?.state)).toEqual([
      'STARTING',
      'RUNNING',
      'EXITED',
      'STOPPING',
      'STOPPED',
    ]);
  });

  it.each([
    ["'web' changed state to [FROZEN]", { name: 'web', state: 'FROZEN' }],
    ["'web' exited with status [256]", { name: 'web', state: 'EXITED' }],
    [
      "'a' changed state to [RUNNING]' changed state to [STOPPED]",
      { name: "a' changed state to [RUNNING]", state: 'STOPPED' },
    ],
    ["'a' exited with status [0]' changed state to [STOPPED]", { name: "a' exited with status [0]", state: 'STOPPED' }],
    ["'web' changed state to [NOVEL]", undefined],
    ["'' changed state to [RUNNING]", undefined],
    ['', undefined],
  ])('reads %s', (line, expected) => expect(parseLxcMonitorLine(line)).toEqual(expected));
});

describe('lines of ip monitor', () => {
  it('understands every recorded line', () => {
    const lines = [...recorded('ip-monitor.txt'), ...recorded('ip-monitor-bridge.txt')];
    expect(lines.filter((line) => parseIpMonitorLine(line) === undefined)).toEqual([]);
  });

  it('tells a deleted link from a port that left its bridge', () => {
    const deleted = recorded('ip-monitor-bridge.txt')
      .map(parseIpMonitorLine)
      .filter((line) => line?.kind === 'link' && line.deleted);
    expect(deleted).toEqual([
      { kind: 'link', index: 4, name: 'vA', deleted: true },
      { kind: 'link', index: 3, name: 'vB', deleted: true },
    ]);
  });

  it.each([
    ['3: vethC.1@if2: <UP> mtu 1500 qdisc noqueue', { kind: 'link', index: 3, name: 'vethC.1', deleted: false }],
    ['6: q@b;x@r"y: <BROADCAST> mtu 1500', { kind: 'link', index: 6, name: 'q@b;x', deleted: false }],
    [
      'Deleted 3: vethA    inet6 fe80::1/64 scope link \\  valid_lft',
      { kind: 'address', index: 3, name: 'vethA', deleted: true },
    ],
    [
      'inet all forwarding on ',
      { kind: 'sysctl', dev: 'all', values: new Map([['net/ipv4/conf/all/forwarding', '1']]) },
    ],
    [
      'inet vethA forwarding off rp_filter loose proxy_neigh on ',
      {
        kind: 'sysctl',
        dev: 'vethA',
        values: new Map([
          ['net/ipv4/conf/vethA/forwarding', '0'],
          ['net/ipv4/conf/vethA/rp_filter', 'loose'],
          ['net/ipv4/conf/vethA/proxy_arp', '1'],
        ]),
      },
    ],
    [
      'inet6 a.b proxy_neigh off ',
      { kind: 'sysctl', dev: 'a.b', values: new Map([['net/ipv6/conf/a.b/proxy_ndp', '0']]) },
    ],
    ['Deleted inet6 vethA ', { kind: 'sysctl', dev: 'vethA', values: new Map() }],
    [
      'Deleted 198.51.100.10 dev vethA proto 119 scope link linkdown ',
      { kind: 'route', devs: ['vethA'], protocol: '119', table: '', isDefault: false, deleted: true },
    ],
    [
      '203.0.113.0/24 \tnexthop via 192.0.2.5 dev a weight 1 \\\tnexthop via 192.0.2.6 dev b weight 1 ',
      { kind: 'route', devs: ['a', 'b'], protocol: '', table: '', isDefault: false, deleted: false },
    ],
    [
      'blackhole 198.51.100.128/25 ',
      { kind: 'route', devs: [], protocol: '', table: '', isDefault: false, deleted: false },
    ],
    [
      'default via 192.0.2.1 dev eth0 proto dhcp ',
      { kind: 'route', devs: ['eth0'], protocol: 'dhcp', table: '', isDefault: true, deleted: false },
    ],
    [
      'Deleted unreachable default dev lo table 11937 proto 119 metric 4294967295 pref medium',
      { kind: 'route', devs: ['lo'], protocol: '119', table: '11937', isDefault: true, deleted: true },
    ],
    [
      'Deleted 11937:\tfrom all fwmark 0x26000000/0x7f000000 lookup main suppress_prefixlength 1 proto 119',
      { kind: 'rule', protocol: '119', deleted: true },
    ],
    ['100:\tnot from 192.0.2.0/24 iif eth0 lookup 200 ', { kind: 'rule', protocol: '', deleted: false }],
    [
      '192.0.2.9 dev proto proto static ',
      { kind: 'route', devs: ['proto'], protocol: 'static', table: '', isDefault: false, deleted: false },
    ],
    ['something else', undefined],
    ['', undefined],
  ])('reads %s', (line, expected) => expect(parseIpMonitorLine(line)).toEqual(expected));
});

describe('lines of nft monitor', () => {
  it('finds each generation and which of them touched our tables', () => {
    const generations: [number, boolean][] = [];
    let ours = false;
    for (const line of recorded('nft-monitor.txt').map(parseNftMonitorLine)) {
      if (line?.kind === 'ours') ours = true;
      if (line?.kind !== 'generation') continue;
      generations.push([line.generation, ours]);
      ours = false;
    }
    const foreign = generations.filter(([, touched]) => !touched).map(([generation]) => generation);
    expect(generations.map(([generation]) => generation)).toEqual(Array.from({ length: 16 }, (_, at) => at + 2));
    expect(foreign).toEqual([9, 15, 16]);
  });

  it.each([
    ['# new generation 7 by process 4572 (nft)', { kind: 'generation', generation: 7, pid: 4572, process: 'nft' }],
    ['# new generation 7 by process 1 (a) (b', { kind: 'generation', generation: 7, pid: 1, process: 'a) (b' }],
    ['# new generation 7', { kind: 'generation', generation: 7, pid: 0, process: '' }],
    ['# ERROR: No buffer space available', { kind: 'error', message: 'No buffer space available' }],
    ['add rule ip other c accept comment "# new generation 7 by process 1 (x)"', undefined],
    ['add rule ip other c accept comment "add table inet routewall"', undefined],
    ['add table inet routewall2', undefined],
    ['add table ip routewall', undefined],
    ['add table inet routewall { flags owner,persist; }', { kind: 'ours', deletes: false }],
    ['delete chain arp routewall in', { kind: 'ours', deletes: false }],
    ['delete table inet routewall', { kind: 'ours', deletes: true }],
  ])('reads %s', (line, expected) => expect(parseNftMonitorLine(line)).toEqual(expected));
});

describe('splitting into lines', () => {
  const split = (chunks: readonly string[], max?: number) => {
    const lines: string[] = [];
    const feed = lineSplitter((line) => lines.push(line), max);
    for (const chunk of chunks) feed(chunk);
    return lines;
  };

  it('joins what chunks tear apart and keeps an unfinished line to itself', () => {
    expect(split(['a', 'b\nc', '\n\nd'])).toEqual(['ab', 'c', '']);
  });

  it('cuts a line that is too long and goes on with the next', () => {
    expect(split(['abc', 'defg', 'hij\nk\nlmnopq\n'], 5)).toEqual(['abcde', 'k', 'lmnop']);
  });
});
