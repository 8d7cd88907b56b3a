/** A comparison that hangs is put aside for what changed, whichever of its readings it is, and is made later. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import { type Run, run } from '../../controller/commands/run.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
/** Of the words of a command: whether a child that never ends takes its place. */
let hangs: (line: string) => boolean = () => false;
/** Whether one does that fails. */
let fails: (line: string) => boolean = () => false;
/** Whether one that does nothing does. */
let lies: (line: string) => boolean = () => false;
let onHang: () => void = () => undefined;

beforeEach(async () => {
  hangs = () => false;
  fails = lies = () => false;
  const disturbed =
    (inside: Run): Run =>
    (command, args, options) => {
      const line = [command, ...args].join(' ');
      if (lies(line)) return run('true', [], options);
      if (fails(line)) return run('sh', ['-c', 'echo something is wrong >&2; exit 1'], options);
      if (!hangs(line)) return inside(command, args, options);
      const answer = run('sh', ['-c', 'sleep 1000 & wait'], options);
      onHang();
      return answer;
    };
  ({ host, applier } = await openApplier(disturbed));
});
afterEach(cleanUp);

const list = async (...words: readonly string[]): Promise<string> => (await host.run('nft', ['list', ...words])).stdout;

const EDIT = ['insert', 'rule', 'inet', 'routewall', 'forward_from', 'counter'];
const isEdited = async (): Promise<boolean> =>
  (await list('chain', 'inet', 'routewall', 'forward_from')).includes('counter packets');

it.each([
  ['the list of our tables', /^nft -s list/, true],
  ['a throw-away namespace', /^unshare/, true],
  ['the routes', /route show/, false],
] as const)('serves who comes while %s hangs, and compares later', async (_, pattern, isEditKept) => {
  const [one, two] = [nicOf(1, 81), nicOf(2, 82)];
  await applier.resync(requestOf(stateOf(one)));
  await host.run('nft', EDIT);
  const given = new AbortController();
  hangs = (line) => pattern.test(line);
  onHang = () => given.abort(new Error('somebody waits'));
  const { unread } = await applier.resync(requestOf(stateOf(one, two)), given.signal);
  expect(unread?.message).toMatch('somebody waits');
  expect(await list('map', 'inet', 'routewall', 'from_container')).toContain('"veth2"');
  expect(await isEdited()).toBe(isEditKept);
  hangs = () => false;
  expect((await applier.resync(requestOf(stateOf(one, two)), new AbortController().signal)).unread).toBe(undefined);
  expect(await isEdited()).toBe(false);
});

it.each([
  ['the list of our tables', /^nft -s list/, true],
  ['a throw-away namespace', /^unshare/, true],
  ['the routes', /route show/, false],
  ['the proxies', /neigh show proxy/, false],
] as const)('serves who comes while %s can not be read', async (_, pattern, isEditKept) => {
  const [one, two] = [nicOf(1, 81), nicOf(2, 82)];
  await applier.resync(requestOf(stateOf(one)));
  await host.run('nft', EDIT);
  fails = (line) => pattern.test(line);
  const mended: string[] = [];
  for (let times = 0; times < 3; times++) {
    const { unread, repaired } = await applier.resync(requestOf(stateOf(one, two)));
    expect(unread?.message).toMatch('something is wrong');
    mended.push(...repaired);
  }
  // By these it is known that connections may have begun which the rules refuse.
  expect(mended.some((line) => line.includes('chain inet routewall forward_from'))).toBe(!isEditKept);
  expect(mended.some((line) => line.includes('"veth2"'))).toBe(false);
  expect(await list('map', 'inet', 'routewall', 'from_container')).toContain('"veth2"');
  expect(await isEdited()).toBe(isEditKept);
  fails = () => false;
  expect((await applier.resync(requestOf(stateOf(one, two)))).unread).toBe(undefined);
  expect(await isEdited()).toBe(false);
});

it('trusts nothing any more where the change fails too', async () => {
  const [one, two] = [nicOf(1, 81), nicOf(2, 82)];
  await applier.resync(requestOf(stateOf(one)));
  await host.run('nft', ['delete', 'table', 'inet', 'routewall']);
  fails = (line) => /^nft -s list/.test(line);
  await expect(applier.resync(requestOf(stateOf(one, two)))).rejects.toThrow('refuses');
  expect(applier.enforced).toBe(undefined);
  fails = () => false;
  expect((await applier.resync(requestOf(stateOf(one, two)))).enforced.nics.size).toBe(2);
});

it('writes nothing a second time where a list says nothing and exits well', async () => {
  await applier.resync(requestOf(stateOf(nicOf(1, 81))));
  const before = await list('table', 'inet', 'routewall');
  lies = (line) => /^nft -s list/.test(line);
  await expect(applier.resync(requestOf(stateOf(nicOf(1, 81))))).rejects.toThrow('File exists');
  expect(await list('table', 'inet', 'routewall')).toBe(before);
});

it('compares, whoever waits, where nothing is known of the kernel', async () => {
  const { unread, enforced } = await applier.resync(requestOf(stateOf(nicOf(1, 81))), AbortSignal.abort());
  expect([unread, enforced.nics.size]).toEqual([undefined, 1]);
});
