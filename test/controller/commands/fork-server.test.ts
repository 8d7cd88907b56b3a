/** Commands are started by a small process beside the daemon, and without it where it fails. */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type ForkServer, openForkServer } from '../../../controller/commands/fork-server.ts';
import {
  CommandError,
  type Run,
  run,
  type StreamLines,
  startTalker,
  streamLines,
  type Talker,
} from '../../../controller/commands/run.ts';
import { atEnd, cleanUp, makeFolder } from '../../../sandbox/clean-up.ts';
import { eventually } from '../../../sandbox/eventually.ts';

afterEach(cleanUp);

interface Opened extends ForkServer {
  /** The commands that were started without it. */
  readonly direct: string[];
  readonly servers: Talker[];
}

function open(): Opened {
  const direct: string[] = [];
  const servers: Talker[] = [];
  const noting: Run = (command, ...rest) => {
    direct.push(command);
    return run(command, ...rest);
  };
  const notingStream: StreamLines = (command, ...rest) => {
    direct.push(command);
    return streamLines(command, ...rest);
  };
  const server = openForkServer(
    (...words) => {
      const talker = startTalker(...words);
      servers.push(talker);
      return talker;
    },
    { run: noting, stream: notingStream },
  );
  atEnd('the server', async () => server.stop());
  return { ...server, direct, servers };
}

const sh = (forks: ForkServer, script: string, ...words: string[]) => forks.run('sh', ['-c', script, 'sh', ...words]);

test('a command answers with its output, its errors and its status, whatever its words hold', async () => {
  const forks = open();
  const words = ['a b', '', '"\n\'', '$(id)', 'ü'];
  expect(await sh(forks, 'for each; do printf "<%s>" "$each"; done; echo no >&2; exit 3', ...words)).toEqual({
    stdout: words.map((word) => `<${word}>`).join(''),
    stderr: 'no\n',
    exitCode: 3,
  });
  const large = await sh(forks, 'head -c 3000000 /dev/zero | tr "\\0" "ü"; echo end');
  expect(large.stdout.length).toBeGreaterThan(2_000_000);
  expect(large.stdout.endsWith('end\n')).toBe(true);
  expect(forks.direct).toEqual([]);
});

test('a program for perl runs as in a perl of its own', async () => {
  const forks = open();
  const perl = (program: string, ...words: string[]) => forks.run('perl', ['-e', program, ...words]);
  const said = await perl('sub answer { "<@_>" } print map { answer $_ } @ARGV; print STDERR "no"; exit 3', 'a b', '');
  expect(said).toEqual({ stdout: '<a b><>', stderr: 'no', exitCode: 3 });
  expect(await perl('use strict; print $jobs')).toMatchObject({
    stdout: '',
    stderr: expect.stringMatching(/Global symbol/),
    exitCode: 255,
  });
  expect(await perl('die "gone\\n"')).toEqual({ stdout: '', stderr: 'gone\n', exitCode: 255 });
  await expect(perl('kill KILL => $$')).rejects.toThrow(CommandError);
  expect((await perl('print scalar readline(STDIN) // "nothing"')).stdout).toBe('nothing');
});

test('a program that is run again begins as it did, and knows nothing of another', async () => {
  const forks = open();
  const perl = async (program: string) => (await forks.run('perl', ['-e', program])).stdout;
  const counting =
    'use strict; my ($count, %seen) = (0); sub add { $count++; $seen{$_[0]}++ } add("a"); print "$count ", %seen';
  for (let round = 0; round < 3; round += 1) expect(await perl(counting)).toBe('1 a1');
  expect(await perl('sub add { "another" } print add(), defined $count ? " knows" : ""')).toBe('another');
  expect(await perl(counting)).toBe('1 a1');
  expect(forks.direct).toEqual([]);
});

test('what streams is told while it runs, and ends with who listens', async () => {
  const forks = open();
  const folder = await makeFolder();
  const go = join(folder, 'go');
  const script = 'cat; while [ ! -e $1 ]; do sleep 0.01; done; echo end';
  const told: string[] = [];
  for await (const lines of forks.stream('sh', ['-c', script, 'sh', go], 'first\nsecond\n')) {
    if (lines.includes('second')) await writeFile(go, '');
    told.push(...lines);
  }
  expect(told).toEqual(['first', 'second', 'end']);

  const failing = async (): Promise<void> => {
    for await (const _ of forks.stream('sh', ['-c', 'echo why >&2; exit 3'], '')) void 0;
  };
  await expect(failing()).rejects.toThrow(new CommandError('sh: why'));

  let pid = 0;
  for await (const lines of forks.stream('sh', ['-c', 'echo $$; exec sleep 1000'], '')) {
    pid = Number(lines[0]);
    break;
  }
  await eventually('it is gone', () => !existsSync(`/proc/${pid}`));
  expect(forks.direct).toEqual([]);
});

test('a command reads what it is given, whether it takes it or not, and the perl of the server too', async () => {
  const forks = open();
  const input = 'a ü\0\n'.repeat(100_000);
  expect(await forks.run('cat', [], { input })).toEqual({ stdout: input, stderr: '', exitCode: 0 });
  const counted = await forks.run('perl', ['-e', 'print length join "", <STDIN>'], { input });
  expect(counted.stdout).toBe(String(Buffer.byteLength(input)));
  expect((await forks.run('true', [], { input })).exitCode).toBe(0);
  for (const length of [1, 4_096, 4_097]) {
    const some = 'x'.repeat(length);
    expect((await forks.run('cat', [], { input: some })).stdout).toBe(some);
  }
  expect((await forks.run('sh', ['-c', 'head -c 3; exit 4'], { input: 'abcdef' })).stdout).toBe('abc');
  expect(forks.direct).toEqual([]);
});

test('a ruleset of thousands is given to a command without anybody taking the server for stuck', async () => {
  const forks = open();
  const input = 'add rule inet routewall from_1 tcp dport 80 accept\n'.repeat(200_000);
  const [long, ...short] = await Promise.all([
    forks.run('wc', ['-c'], { input }),
    ...Array.from({ length: 10 }, () => sh(forks, 'exit 3')),
  ]);
  expect(Number(long?.stdout)).toBe(input.length);
  expect(short.map(({ exitCode }) => exitCode)).toEqual(Array(10).fill(3));
  expect(forks.direct).toEqual([]);
});

test('many at once are answered each for itself, and the slow keeps none waiting', async () => {
  const forks = open();
  let isDone = false;
  const slow = sh(forks, 'exec >&- 2>&-; sleep 2; exit 7').finally(() => {
    isDone = true;
  });
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, index) => sh(forks, 'echo $1; exit $1', `${index}`)),
  );
  expect(answers.map(({ stdout, exitCode }) => [stdout, exitCode])).toEqual(
    Array.from({ length: 30 }, (_, index) => [`${index}\n`, index]),
  );
  expect(isDone).toBe(false);
  // Its output had ended long before.
  expect((await slow).exitCode).toBe(7);
  expect(forks.direct).toEqual([]);
});

test('long answers come whole while others end', async () => {
  const forks = open();
  const long = Array.from({ length: 20 }, (_, n) => sh(forks, `head -c 500000 /dev/zero | tr "\\0" ${n % 10}`));
  const short = Array.from({ length: 100 }, async (_, n) => {
    await sleep(n * 3);
    return await sh(forks, 'exit 4');
  });
  for (const [n, { stdout }] of (await Promise.all(long)).entries())
    expect(stdout === `${n % 10}`.repeat(500_000)).toBe(true);
  for (const { exitCode } of await Promise.all(short)) expect(exitCode).toBe(4);
  expect(forks.direct).toEqual([]);
});

test('what is said in small pieces comes whole', async () => {
  const forks = open();
  const { stdout } = await forks.run('perl', ['-e', '$| = 1; print "$_," for 1 .. 100000']);
  expect(stdout === Array.from({ length: 100_000 }, (_, n) => `${n + 1},`).join('')).toBe(true);
  expect(forks.direct).toEqual([]);
});

test('nobody looks again and again at who said much and went quiet', async () => {
  const forks = open();
  const program = '$| = 1; for (1 .. 40) { print "$_\\n"; select undef, undef, undef, 0.003 } sleep 3';
  const said = forks.stream('perl', ['-e', program], '')[Symbol.asyncIterator]();
  for (let seen = 0; seen < 40; ) {
    const { value, done } = await said.next();
    if (done === true) throw new Error('it ended');
    seen += value.length;
  }
  await sleep(100);
  const woken = async () =>
    Number(
      /^voluntary_ctxt_switches:\s+(\d+)/m.exec(await readFile(`/proc/${forks.servers[0]?.pid}/status`, 'utf8'))?.[1],
    );
  const before = await woken();
  await sleep(500);
  expect((await woken()) - before).toBeLessThan(20);
  await said.return?.();
});

test('while this thread is busy nobody waits for who takes his words, and nobody is taken for stuck', async () => {
  const forks = open();
  const end = join(await makeFolder(), 'end');
  const answer = sh(forks, 'head -c 3000000 /dev/zero; echo >$1', end);
  const begun = performance.now();
  // Longer than a command has to begin.
  while (!existsSync(end) || performance.now() - begun < 1_500)
    if (performance.now() - begun > 10_000) throw new Error('it waits');
  expect((await answer).stdout.length).toBe(3_000_000);
  expect(forks.direct).toEqual([]);
});

test('one that takes too long, or is put aside, is killed with its children', async () => {
  const forks = open();
  const folder = await makeFolder();
  const script = 'sleep 1000 & echo $! >$1; wait';
  const pidIn = async (file: string) => (await readFile(file, 'utf8')).trim();
  const late = forks.run('sh', ['-c', script, 'sh', join(folder, 'late')], { timeout: 1_500 });
  await expect(late).rejects.toThrow(new CommandError('sh: timed out after 1500 ms'));
  const aside = new AbortController();
  const asked = forks.run('sh', ['-c', script, 'sh', join(folder, 'aside')], { signal: aside.signal });
  await eventually('it began', async () => /\d\n/.test(await readFile(join(folder, 'aside'), 'utf8').catch(() => '')));
  aside.abort(new Error('aside'));
  await expect(asked).rejects.toThrow('aside');
  for (const file of ['late', 'aside']) {
    const pid = await pidIn(join(folder, file));
    await eventually(`${file}: its child is gone`, () => !existsSync(`/proc/${pid}`));
  }
  expect(forks.direct).toEqual([]);
});

test('what crashes or is not there fails as without it', async () => {
  const forks = open();
  await expect(sh(forks, 'kill -SEGV $$')).rejects.toThrow(/sh: .*SIGSEGV/);
  await expect(forks.run('no-such-program', [])).rejects.toThrow('no-such-program');
});

test('a server that is killed or stopped keeps nobody waiting', async () => {
  const killed = open();
  expect((await sh(killed, 'echo 1')).stdout).toBe('1\n');
  const answer = sh(killed, 'sleep 0.5; echo 2');
  killed.servers[0]?.kill();
  expect((await answer).stdout).toBe('2\n');
  expect((await sh(killed, 'echo 3')).stdout).toBe('3\n');
  expect(killed.direct).toEqual(['sh', 'sh']);
  const lines: string[] = [];
  for await (const some of killed.stream('echo', ['4'], '')) lines.push(...some);
  expect(lines).toEqual(['4']);

  const stopped = open();
  const { pid } = stopped.servers[0] ?? {};
  if (pid === undefined) throw new Error('no server');
  process.kill(pid, 'SIGSTOP');
  expect((await sh(stopped, 'echo 4')).stdout).toBe('4\n');
  await eventually('it is gone', () => !existsSync(`/proc/${pid}`));
});

test('what runs ends with it', async () => {
  const forks = open();
  const file = join(await makeFolder(), 'pid');
  void sh(forks, 'echo $$ >$1; exec sleep 1000', file).catch(() => undefined);
  await eventually('it began', async () => /\d\n/.test(await readFile(file, 'utf8').catch(() => '')));
  const pid = (await readFile(file, 'utf8')).trim();
  forks.stop();
  await eventually('it is gone', () => !existsSync(`/proc/${pid}`));
});
