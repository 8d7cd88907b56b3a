/** A listing that was made while somebody else committed may be wrong: what is in force stays as it shall be. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Applier } from '../../controller/apply/apply.ts';
import type { Run } from '../../controller/commands/run.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import type { Namespace } from '../../sandbox/namespace.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { openApplier, requestOf } from './applier-bed.ts';

let host: Namespace;
let applier: Applier;
/** What nft says of our table in its place, with its result. */
let wrong: ((listing: string) => { stdout: string; stderr?: string; exitCode?: number }) | undefined;

const request = requestOf(stateOf(nicOf(1, 81), nicOf(2, 82)));
const rulesOf = async (): Promise<string> => (await host.run('nft', ['-s', 'list', 'ruleset'])).stdout;

beforeEach(async () => {
  wrong = undefined;
  const altered =
    (inside: Run): Run =>
    async (command, args, options) => {
      const result = await inside(command, args, options);
      return args.join(' ') === '-s list table inet routewall' && wrong !== undefined
        ? { ...result, ...wrong(result.stdout) }
        : result;
    };
  ({ host, applier } = await openApplier(altered));
  await applier.resync(request);
});
afterEach(cleanUp);

it('mends nothing where a chain is told twice, once without its rules', async () => {
  const intact = await rulesOf();
  wrong = (listing) => ({ stdout: listing.replace(/\n\}\n$/, '\n\n\tchain egress_drop {\n\t}\n}\n') });
  const { repaired } = await applier.resync(request);
  expect(repaired.filter((line) => line.includes('routewall'))).toEqual([]);
  expect(await rulesOf()).toBe(intact);
});

it('leaves each rule there once where a chain is told without them', async () => {
  const intact = await rulesOf();
  wrong = (listing) => ({ stdout: listing.replace(/(\tchain egress_drop \{\n)[^}]*\}/, '$1\t}') });
  const { repaired } = await applier.resync(request);
  expect(repaired).toContain('flush chain inet routewall egress_drop');
  expect(await rulesOf()).toBe(intact);
});

it('leaves each rule there once where the table is told to be away', async () => {
  const intact = await rulesOf();
  wrong = () => ({ stdout: '', stderr: 'Error: No such file or directory', exitCode: 1 });
  await expect(applier.resync(request)).rejects.toThrow('the kernel refuses the ruleset');
  expect(await rulesOf()).toBe(intact);
  wrong = undefined;
  const { repaired } = await applier.resync(request);
  expect(repaired.filter((line) => line.includes(' routewall'))).toEqual([]);
  expect(await rulesOf()).toBe(intact);
});
