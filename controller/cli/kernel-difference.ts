/** How the kernel differs from what is in force: by the daemon, or where none answers by a look at the whole host. */
import { compareWithKernel, readKernel } from '../kernel/kernel-comparison.ts';
import { readLinks } from '../kernel/observe.ts';
import { parseComparison, type ToldComparison } from '../status/told-answers.ts';
import { CliError, describeFailure, EXIT } from './exit.ts';
import type { Invocation } from './options.ts';
import { readConfig } from './read-config.ts';
import { readHostInForce } from './read-host.ts';
import { restrict } from './render.ts';
import { askServing } from './serving-daemon.ts';

export type Difference =
  /** `holdsRules`: whether the kernel holds any rules of ours. */
  | { readonly known: true; readonly comparison: ToldComparison; readonly holdsRules: boolean }
  /** `failed`: not for want of rights. */
  | { readonly known: false; readonly why: string; readonly failed: boolean };

/** Only root may list nftables. What can't be compared must not hide what the daemon says. */
export async function readDifference(invocation: Invocation, daemonAnswers: boolean): Promise<Difference> {
  if (!invocation.io.isRoot) return { known: false, why: 'only root can compare with the kernel', failed: false };
  try {
    const told = daemonAnswers ? await askServing(invocation, 'Compare', [], parseComparison) : undefined;
    if (told !== undefined) return { known: true, comparison: told, holdsRules: true };
    return await compareHost(invocation);
  } catch (cause) {
    if (cause instanceof CliError && cause.exitCode === EXIT.usage) throw cause;
    return {
      known: false,
      why: `not compared with the kernel: ${describeFailure(cause, invocation.io).message}`,
      failed: true,
    };
  }
}

async function compareHost(invocation: Invocation): Promise<Difference> {
  const run = await invocation.io.loadReader();
  // Of which both sides need to know.
  const links = readLinks(run);
  links.catch(() => undefined);
  // While the files are read.
  const reading = readConfig(invocation.shared).then(({ config }) => readKernel(run, config?.backend ?? 'auto', links));
  // Awaited behind the files, whose failure has precedence.
  reading.catch(() => undefined);
  const host = await readHostInForce(invocation, links);
  const { desired } = host.assembler.assemble(host.inputs);
  const ids = new Set(host.inputs.containers.map(({ id }) => id));
  const comparison = await compareWithKernel(run, restrict(desired, ids), reading);
  return { known: true, comparison, holdsRules: comparison.holdsRules };
}
