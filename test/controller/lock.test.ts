/** One daemon at a time; what a killed one left for a moment is no other daemon. */
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type StartTalker, startTalker, type Talker } from '../../controller/commands/run.ts';
import { takeLock } from '../../controller/lock.ts';
import { startHolder } from '../../controller/lock-holder.ts';
import { messageOf } from '../../controller/log.ts';
import { cleanUp, makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { kill } from '../../sandbox/sweep.ts';

afterEach(cleanUp);

const NAME = 'routewall/daemon';

const take = async (start: StartTalker = startTalker) => {
  const warnings: string[] = [];
  const lock = await takeLock(join(await makeFolder(), 'run'), { warn: (message) => warnings.push(message), start });
  return { ...lock, warnings };
};

async function refusal(): Promise<string> {
  try {
    (await take()).release();
    return 'none';
  } catch (cause) {
    return messageOf(cause);
  }
}

/** In its place, with the name that no Node before 20 can take. */
async function holdAs(process: string): Promise<Talker> {
  const holder = await startHolder((_, words) => startTalker('perl', [...words.slice(0, -1), process]), NAME);
  expect(holder.said).toEqual(['held']);
  return holder.child;
}

test('a holder that answers is named at once', async () => {
  const lock = await take();
  const said = await refusal();
  lock.release();
  expect(said).toBe(`another routewall daemon serves this network namespace, as process ${process.pid}`);
});

test('one that goes without an answer is waited for', async () => {
  const left = await holdAs('');
  const taken = take();
  setTimeout(() => left.kill(), 300);
  (await taken).release();
});

test('one that answers for a process that is gone is waited for', async () => {
  const left = await holdAs('4194305');
  const taken = take();
  setTimeout(() => left.kill(), 500);
  (await taken).release();
});

test.each(['', 'whatever', 'x'.repeat(100_000)])('one that says no such thing is not listened to', async (said) => {
  const other = await holdAs(said);
  expect(await refusal()).toMatch(/^a process that does not answer holds /);
  other.kill();
});

test('where the process that holds it ends, another one does', async () => {
  const holders: Talker[] = [];
  const lock = await take((...words) => {
    const started = startTalker(...words);
    holders.push(started);
    return started;
  });
  kill(holders[0]?.pid ?? expect.unreachable());
  await eventually('it is held again', async () => holders.length === 2 && (await refusal()) !== 'none');
  expect(await refusal()).toMatch(/^another routewall daemon /);
  lock.release();
  expect(lock.warnings).toEqual([]);
});
