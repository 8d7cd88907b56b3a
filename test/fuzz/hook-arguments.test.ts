/**
 * Whatever LXC, or who calls it by hand, gives the hook as arguments and environment: it ends, asks for exactly what it
 * was given, each value one word, and runs none of it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runs } from './seed.ts';

const HOOK = resolve('packaging/hook/routewall-hook');
const YES = '{"answer":null}\n';

let folder: string;
const at = (name: string): string => join(folder, name);
/** What stands in the daemon's place was asked, and says. */
let asked: unknown[] = [];
let says = YES;
const daemon = createServer((socket) => {
  socket.setEncoding('utf8').on('data', (line: string) => {
    asked.push(JSON.parse(line));
    socket.end(says);
  });
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'routewall-hook-'));
  for (const name of ['bin', 'here']) mkdirSync(at(name));
  writeFileSync(at('bin/systemctl'), '#!/bin/sh\necho inactive\n');
  chmodSync(at('bin/systemctl'), 0o755);
  await once(daemon.listen(at('daemon')), 'listening');
});
afterAll(() => {
  daemon.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Each would leave a file where it is read as more than a word. */
const HOSTILE = [
  '$(touch x)',
  '`touch x`',
  '; touch x',
  "'; touch x; '",
  '"; touch x; "',
  'a\ntouch x\n',
  '> x',
  '&touch x',
];
const ODD = [
  '',
  ' ',
  '-',
  '--',
  '--help',
  '-n',
  '*',
  '?',
  '[a]',
  '~',
  '/',
  '..',
  '\\',
  '%s',
  '$IFS',
  'é',
  '\u{1f980}',
  'net',
  'up',
  'down',
];
const word = fc.oneof(
  fc.constantFrom(...HOSTILE, ...ODD, 'x'.repeat(10_000)),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
);
const section = fc.oneof({ weight: 4, arbitrary: fc.constant('net') }, { weight: 1, arbitrary: word });
const type = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('up', 'down', 'start-host') },
  { weight: 1, arbitrary: word },
);

interface Answered {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly asked: readonly unknown[];
}

async function callHook(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  said = YES,
  socket = at('daemon'),
): Promise<Answered> {
  [asked, says] = [[], said];
  const hook = spawn('perl', [HOOK, ...args], {
    cwd: at('here'),
    env: { PATH: `${at('bin')}:/usr/bin:/bin`, ROUTEWALL_SOCKET: socket, ...env },
    timeout: 20_000,
  });
  const [stdout, stderr] = await Promise.all([text(hook.stdout), text(hook.stderr), once(hook, 'close')]);
  return { status: hook.exitCode, stdout, stderr, asked };
}

/** It said yes or no, in one line, and did nothing else. */
function expectHarmless({ status, stdout, stderr }: Answered): void {
  expect([0, 1]).toContain(status);
  expect(stdout).toBe('');
  expect(stderr.startsWith('routewall: ')).toBe(status === 1);
  expect(readdirSync(at('here'))).toEqual([]);
}

it('arguments as LXC gives them reach the daemon as they are, each of them one word', async () => {
  const given = fc.record({ name: word, link: fc.option(word), veth: word, way: fc.constantFrom('up', 'down') });
  await fc.assert(
    fc.asyncProperty(given, async ({ name, link, veth, way }) => {
      const answered = await callHook([name, 'net', way, 'veth', ...(link === null ? [] : [link]), veth], {});
      expectHarmless(answered);
      expect(answered.status === 1).toBe(name === '' || veth === '');
      if (answered.status === 1) return;
      const order = way === 'up' ? { order: 'admit', initPid: 0 } : { order: 'release' };
      expect(answered.asked).toEqual([{ ...order, container: name, veth }]);
    }),
    runs,
  );
});

it('so does the environment of version 1', async () => {
  const process = fc.oneof(word, fc.nat().map(String));
  const given = fc.record({ name: word, peer: word, pid: process });
  await fc.assert(
    fc.asyncProperty(given, async ({ name, peer, pid }) => {
      const env = {
        LXC_HOOK_VERSION: '1',
        LXC_NAME: name,
        LXC_HOOK_TYPE: 'up',
        LXC_NET_TYPE: 'veth',
        LXC_NET_PEER: peer,
        LXC_PID: pid,
      };
      const answered = await callHook([], env);
      expectHarmless(answered);
      const isProcess = pid === '' || /^(0|[1-9]\d{0,9})$/.test(pid);
      expect(answered.status === 1).toBe(name === '' || peer === '' || !isProcess);
      if (answered.status === 1) return;
      expect(answered.asked).toEqual([{ order: 'admit', container: name, veth: peer, initPid: Number(pid) }]);
    }),
    runs,
  );
});

it('too few, too many and senseless ones do no harm, whatever the daemon answers', async () => {
  const env = fc.dictionary(
    fc.constantFrom(
      'LXC_NAME',
      'LXC_HOOK_VERSION',
      'LXC_HOOK_TYPE',
      'LXC_NET_TYPE',
      'LXC_NET_PEER',
      'LXC_CONFIG_FILE',
      'LXC_PID',
    ),
    fc.oneof(word, fc.constantFrom('0', '1', 'up', 'veth', '/var/lib/lxc/web/config')),
  );
  const args = fc.oneof(fc.array(word, { maxLength: 8 }), fc.tuple(word, section, type, word, word));
  const reason = word.map((why) => `${JSON.stringify({ error: why, refused: false })}\n`);
  await fc.assert(
    fc.asyncProperty(args, env, fc.oneof(fc.constant(YES), word, reason), async (list, given, said) => {
      expectHarmless(await callHook(list, given, said));
    }),
    runs,
  );
});

it.each([
  ['nothing', ''],
  ['half of a yes', YES.slice(0, -2)],
  ['a yes behind a no', `{"error":"no","refused":false}\n${YES}`],
  ['something else', '{"answered":null}\n'],
  ['too much', `${'x'.repeat(100_000)}\n${YES}`],
])('nobody starts who is answered %s', async (_, said) => {
  const { status, stderr } = await callHook(['web', 'net', 'up', 'veth', 'vethA'], {}, said);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^routewall: web: /);
  expect((await callHook(['web', 'net', 'up', 'veth', 'vethA'], {})).status).toBe(0);
});

it('nobody starts where nobody listens, nor where it is no socket', async () => {
  for (const path of [at('nowhere'), at('here'), '', 'x'.repeat(200)]) {
    const { status, stderr } = await callHook(['web', 'net', 'up', 'veth', 'vethA'], {}, YES, path);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^routewall: web: /);
  }
});
