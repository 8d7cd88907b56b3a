/** Which names are asked about, when, and what is told of the answers. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LookupResult } from '../../watchers/dns-lookup.ts';
import { watchDnsNames } from '../../watchers/dns-names.ts';
import type { DnsRecord } from '../../watchers/dns-record.ts';
import { createHostEventBus } from '../../watchers/events.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const answer = (address: string, ttl = 60): LookupResult => ({
  4: { kind: 'answer', addresses: [{ address, ttl }] },
  6: { kind: 'answer', addresses: [] },
});

function startWatcher(answerOf: (name: string) => LookupResult | Promise<LookupResult>) {
  const asked: string[] = [];
  const changed: string[] = [];
  const records = new Map<string, DnsRecord>();
  const bus = createHostEventBus();
  bus.on('dnsAnswerChanged', ({ name }) => void changed.push(name));
  const lookUp = async (name: string) => {
    asked.push(name);
    return await answerOf(name);
  };
  const watcher = watchDnsNames(bus, { lookUp, records, keepMs: 3_600_000, holdMs: 0 });
  return { asked, changed, records, watcher };
}

it('asks about a name at once, and again when its TTL ends; tells of what changed only', async () => {
  let address = '203.0.113.80';
  const { asked, changed, watcher } = startWatcher(() => answer(address));
  await watcher.start();
  watcher.setNames(['deb.example']);
  await vi.advanceTimersByTimeAsync(0);
  expect([asked.length, changed.length]).toEqual([1, 1]);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect([asked.length, changed.length]).toEqual([2, 1]);
  address = '203.0.113.81';
  await vi.advanceTimersByTimeAsync(67_000);
  expect([asked.length, changed.length]).toEqual([3, 2]);
});

it('forgets names that nobody means any more, also while an answer is on its way', async () => {
  let tell: (result: LookupResult) => void = () => undefined;
  const { changed, records, watcher } = startWatcher(() => new Promise((resolve) => (tell = resolve)));
  await watcher.start();
  watcher.setNames(['deb.example']);
  await vi.advanceTimersByTimeAsync(0);
  watcher.setNames([]);
  tell(answer('203.0.113.80'));
  await vi.advanceTimersByTimeAsync(0);
  expect([changed, [...records]]).toEqual([[], []]);
});

it('asks about many names a few at a time, and about all of them', async () => {
  let open = 0;
  let most = 0;
  const { asked, watcher } = startWatcher(async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 5));
    open -= 1;
    return answer('203.0.113.80', 3600);
  });
  await watcher.start();
  const names = Array.from({ length: 50 }, (_, index) => `n${index}.example`);
  watcher.setNames(names);
  await vi.advanceTimersByTimeAsync(1000);
  expect([...asked].sort()).toEqual([...names].sort());
  expect(most).toBe(8);
});

it('goes on after a question that failed by itself', async () => {
  const { asked, records, watcher } = startWatcher(() => Promise.reject(new Error('no such server')));
  await watcher.start();
  watcher.setNames(['deb.example']);
  await vi.advanceTimersByTimeAsync(70_000);
  expect(asked).toHaveLength(2);
  expect(records.get('deb.example')?.error).toBe('Error: no such server');
});

it('asks about all again when told to, and about none once it is stopped', async () => {
  const { asked, watcher } = startWatcher(() => answer('203.0.113.80', 3600));
  await watcher.start();
  watcher.setNames(['deb.example', 'pip.example']);
  await vi.advanceTimersByTimeAsync(0);
  watcher.askAgain();
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toHaveLength(4);
  await watcher.stop();
  watcher.askAgain();
  await vi.advanceTimersByTimeAsync(10_000_000);
  expect(asked).toHaveLength(4);
});

it('asks soon after the clock was set back, however far, and not a month later', async () => {
  vi.setSystemTime('2027-06-01T00:00:00Z');
  const { asked, watcher } = startWatcher(() => answer('203.0.113.80', 60));
  await watcher.start();
  watcher.setNames(['deb.example']);
  await vi.advanceTimersByTimeAsync(0);
  vi.setSystemTime('2027-05-01T00:00:00Z');
  await vi.advanceTimersByTimeAsync(120_000);
  expect(asked.length).toBeGreaterThan(1);
});
