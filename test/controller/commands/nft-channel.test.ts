import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openNftChannel, parseRefusal } from '../../../controller/commands/nft-channel.ts';
import type { StartResident } from '../../../controller/commands/run.ts';

const FILE = '/run/routewall/transaction.nft';
const COMMANDS = ['add table inet routewall', 'add element inet routewall veths { "veth0" }', 'add rule x'];

it.each([
  [
    `${FILE}:2:24-28: Error: No such file or directory\nadd element inet routewall veths { "veth0" }\n                           ^^^^^`,
    { command: COMMANDS[1], message: 'No such file or directory' },
  ],
  [
    `In file included from /dev/stdin:1:1-50:\n${FILE}:3:5-8: Error: Could not process rule: Device or resource busy\nadd rule x\n`,
    { command: COMMANDS[2], message: 'Could not process rule: Device or resource busy' },
  ],
  [
    'netlink: Error: cache initialization failed: Interrupted',
    { command: undefined, message: 'netlink: Error: cache initialization failed: Interrupted' },
  ],
  [`${FILE}:9:1-2: Error: beyond`, { command: undefined, message: 'beyond' }],
])('reads what nft minds from %j', (output, refusal) => {
  expect(parseRefusal(output, FILE, COMMANDS)).toEqual(refusal);
});

it('refuses a run directory that nft would read as a pattern', () => {
  expect(() => openNftChannel(() => expect.fail('started'), '/run/a*b')).toThrow("nft can't include from it");
});

it('writes one command a line, one transaction at a time, and nothing for nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-nft-'));
  try {
    const seen: string[] = [];
    const start: StartResident = () => {
      let say: (text: string) => void = () => undefined;
      return {
        pid: 5,
        write: (text) => {
          const word = /routewall-done-\d+/.exec(text)?.[0] ?? '';
          readFile(join(folder, 'transaction.nft'), 'utf8').then(
            (content) => {
              seen.push(content);
              say(`/dev/stdin:2:1-16: Error: syntax error, unexpected newline\n${word}\n                ^\n`);
            },
            () => undefined,
          );
        },
        onErrorOutput: (listener) => {
          say = listener;
        },
        onEnd: () => undefined,
        kill: () => undefined,
      };
    };
    const channel = openNftChannel(start, folder);
    expect(await channel.commit([])).toBeUndefined();
    expect(channel.pid).toBeUndefined();
    expect(await Promise.all([channel.commit(['a', 'b']), channel.commit(['c'])])).toEqual([undefined, undefined]);
    expect(seen).toEqual(['a\nb\n', 'c\n']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
