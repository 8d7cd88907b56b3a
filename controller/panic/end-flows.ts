/** Forgets the connections of sealed containers: what was open before a panic must not go on after it. */
import type { DesiredState } from '../../render/desired.ts';
import { parseFlows } from '../cut-flows.ts';
import { nicIndexOf } from '../nic-index.ts';
import { type Run, runOrThrow } from '../run.ts';
import { isSealed, type PanicState } from './panic-state.ts';

/**
 * To be called once they are sealed; takes a while where there are many. `present` is asked before each, so that the end
 * of the panic ends it. @returns how many were forgotten. @throws CommandError where conntrack can't be asked.
 */
export async function endSealedFlows(run: Run, desired: DesiredState, present: () => PanicState): Promise<number> {
  const { ownerOf } = nicIndexOf(desired);
  let count = 0;
  for (const family of [4, 6] as const) {
    const name = family === 4 ? 'ipv4' : 'ipv6';
    for (const flow of parseFlows(await runOrThrow(run, 'conntrack', ['-L', '-f', name]), family)) {
      const owners = [flow.source, flow.destination].flatMap((address) => ownerOf(address) ?? []);
      if (!owners.some(({ nic }) => isSealed(present(), nic.container))) continue;
      await run('conntrack', ['-D', '-f', name, ...flow.selector]);
      count += 1;
    }
  }
  return count;
}
