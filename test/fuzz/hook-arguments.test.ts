/**
 * Whatever LXC, or who calls it by hand, gives the hook as arguments and environment: it ends, asks for exactly what it
 * was given, each value one word, and runs none of it.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runs } from './seed.ts';

const HOOK = resolve('packaging/hook/routewall-hook');

let folder: string;
const at = (name: string): string => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'routewall-hook-'));
  for (const name of ['bin', 'here']) mkdirSync(at(name));
  const answers = {
    busctl: `printf '%s\\0' "$@" >>'${at('asked')}'; cat '${at('said')}' >&2; exit "$ANSWER"`,
    systemctl: 'echo inactive',
  };
  for (const [name, script] of Object.entries(answers)) {
    writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${script}\n`);
    chmodSync(at(`bin/${name}`), 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

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
  /** What busctl was called with, from the method on. */
  readonly asked: readonly string[];
}

function callHook(args: readonly string[], env: Readonly<Record<string, string>>, said: string): Answered {
  rmSync(at('asked'), { force: true });
  writeFileSync(at('said'), said);
  const { status, stdout, stderr } = spawnSync('/bin/sh', [HOOK, ...args], {
    cwd: at('here'),
    env: { PATH: `${at('bin')}:/usr/bin:/bin`, ANSWER: said === '' ? '0' : '1', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  const all = existsSync(at('asked')) ? readFileSync(at('asked'), 'utf8').split('\0').slice(0, -1) : [];
  const method = all.findIndex((text) => text === 'Admit' || text === 'Release');
  return { status, stdout, stderr, asked: method < 0 ? [] : all.slice(method) };
}

/** It said yes or no, in one line, and did nothing else. */
function expectHarmless({ status, stdout, stderr }: Answered): void {
  expect([0, 1]).toContain(status);
  expect(stdout).toBe('');
  expect(stderr.startsWith('routewall: ')).toBe(status === 1);
  expect(readdirSync(at('here'))).toEqual([]);
}

it('arguments as LXC gives them reach the daemon as they are, each of them one word', () => {
  const given = fc.record({ name: word, link: fc.option(word), veth: word, way: fc.constantFrom('up', 'down') });
  fc.assert(
    fc.property(given, ({ name, link, veth, way }) => {
      const answered = callHook([name, 'net', way, 'veth', ...(link === null ? [] : [link]), veth], {}, '');
      expectHarmless(answered);
      expect(answered.status === 1).toBe(name === '' || veth === '');
      if (answered.status === 1) return;
      const [method, signature] = way === 'up' ? ['Admit', 'ssu'] : ['Release', 'ss'];
      expect(answered.asked).toEqual([method, '--', signature, name, veth, ...(way === 'up' ? ['0'] : [])]);
    }),
    runs,
  );
});

it('so does the environment of version 1', () => {
  const given = fc.record({ name: word, peer: word, pid: word });
  fc.assert(
    fc.property(given, ({ name, peer, pid }) => {
      const env = {
        LXC_HOOK_VERSION: '1',
        LXC_NAME: name,
        LXC_HOOK_TYPE: 'up',
        LXC_NET_TYPE: 'veth',
        LXC_NET_PEER: peer,
        LXC_PID: pid,
      };
      const answered = callHook([], env, '');
      expectHarmless(answered);
      expect(answered.status === 1).toBe(name === '' || peer === '');
      if (answered.status === 1) return;
      expect(answered.asked).toEqual(['Admit', '--', 'ssu', name, peer, pid === '' ? '0' : pid]);
    }),
    runs,
  );
});

it('too few, too many and senseless ones do no harm, whatever the daemon answers', () => {
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
  fc.assert(
    fc.property(args, env, fc.oneof(fc.constant(''), word), (list, given, said) => {
      expectHarmless(callHook(list, given, said));
    }),
    runs,
  );
});
