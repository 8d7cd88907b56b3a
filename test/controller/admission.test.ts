/** A caller who meets a session that has ended waits for the one that takes its place, and not for ever. */
import { beforeEach, expect, test, vi } from 'vitest';
import { withSession } from '../../controller/admission.ts';
import type { Session } from '../../controller/session/session.ts';
import { SessionEnded } from '../../controller/session/session-ended.ts';

beforeEach(() => {
  vi.useFakeTimers();
  return () => void vi.useRealTimers();
});

const [ended, successor] = ['ended', 'successor'].map((name) => ({ policyFolder: name }) as unknown as Session);
const ask = async ({ policyFolder }: Session): Promise<string> => {
  if (policyFolder === 'ended') throw new SessionEnded();
  return policyFolder;
};

test('one that comes in seconds', async () => {
  let current = ended;
  const answer = withSession(() => current, ask);
  await vi.advanceTimersByTimeAsync(3_000);
  current = successor;
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await answer).toBe('successor');
});

test('one that never comes', async () => {
  const answer = withSession(() => ended, ask).catch((cause: unknown) => cause);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await answer).toBeInstanceOf(SessionEnded);
});
