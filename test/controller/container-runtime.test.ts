import { expect, it } from 'vitest';
import { parseLxcInfo, parseVeths } from '../../controller/container-runtime.ts';

// lxc-info -s -p -S (LXC 5.0.2)
const RUNNING = `State:          RUNNING
PID:            4242
Link:           vethAbC123
 TX bytes:      1.10 KiB
 RX bytes:      936 bytes
 Total bytes:   2.01 KiB
Link:           odd name:1
`;

it('reads a running container with its links in order, whatever their names hold', () => {
  expect(parseLxcInfo(RUNNING)).toEqual({ state: 'RUNNING', pid: 4242, links: ['vethAbC123', 'odd name:1'] });
});

it.each([
  ['State:          STOPPED\n', 'STOPPED'],
  ['', 'STOPPED'],
  ['State:          STOPPED\nPID:            -1\n', 'STOPPED'],
  ['State:          STARTING\nPID:            x\n', 'STARTING'],
])('knows no process and no link in %j', (text, state) => {
  expect(parseLxcInfo(text)).toEqual({ state, pid: undefined, links: [] });
});

it('names the veths whose peers are in that namespace, in the order in which they were made', () => {
  const links = [
    { ifname: 'vethB', ifindex: 9, link_netnsid: 3 },
    { ifname: 'vethA', ifindex: 7, link_netnsid: 3 },
    { ifname: 'vethC', ifindex: 5, link_netnsid: 4 },
    { ifname: 'vethD', ifindex: 6 },
    { ifindex: 8, link_netnsid: 3 },
    null,
  ];
  expect(parseVeths(JSON.stringify(links), 3)).toEqual(['vethA', 'vethB']);
  expect(parseVeths('{}', 3)).toEqual([]);
});
