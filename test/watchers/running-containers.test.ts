import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { monitorSocketName } from '../../watchers/lxc-socket-names.ts';
import { parseUnixSockets } from '../../watchers/proc-sockets.ts';
import { parseRunningContainers } from '../../watchers/running-containers.ts';

const text = readFileSync(new URL('../../fixtures/recorded/proc-net-unix.txt', import.meta.url), 'utf8');
const LONG = `/tmp/w/${'x'.repeat(60)}/${'y'.repeat(30)}`;

it('finds the containers of an LXC path by their command sockets, odd names too', () => {
  expect(parseRunningContainers(text, ['/tmp/w/lxc/', '/var/lib/lxc'])).toEqual([
    { lxcPath: '/tmp/w/lxc', name: 'web', socketInode: 10406 },
    { lxcPath: '/tmp/w/lxc', name: "a b]'q", socketInode: 9685 },
  ]);
});

it('finds a container behind a hashed name when it is asked for that container', () => {
  const candidates = ['web', 'a', 'stopped'].map((name) => ({ lxcPath: LONG, name }));
  expect(parseRunningContainers(text, [LONG], candidates).map(({ name }) => name)).toEqual(['web', 'a']);
  expect(parseRunningContainers(text, [LONG])).toEqual([]);
});

it('does not take a deeper path, a socket that nobody listens on or a folder above for a container', () => {
  const row = (flags: string, path: string) => `0000000000000001: 00000002 00000000 ${flags} 0001 01 77 ${path}`;
  const table = [
    'Num',
    row('00010000', '@/l/sub/web/command'),
    row('00000000', '@/l/web/command'),
    row('00010000', '@/l/command'),
    '',
  ];
  expect(parseRunningContainers(table.join('\n'), ['/l', '/l/other'])).toEqual([]);
});

it('keeps a line break in a name', () => {
  const table = 'Num\n0000000000000001: 00000002 00000000 00010000 0001 01 77 @/l/new\nline/command\n';
  expect(parseRunningContainers(table, ['/l'])).toEqual([{ lxcPath: '/l', name: 'new\nline', socketInode: 77 }]);
});

it('knows the name of lxc-monitord as LXC makes it', () => {
  const names = parseUnixSockets(text)
    .filter(({ inode }) => inode === 9139)
    .map(({ abstractName }) => abstractName);
  expect(names).toEqual([monitorSocketName('/tmp/w/lxc')]);
});
