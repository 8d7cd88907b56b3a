/** The state as it would be if every container ran, for answers about those that don't. */
import { parseInterfaceName } from '../../render/names.ts';
import { type Assembled, type Assembler, createAssembler, type HostInputs } from './assemble.ts';

/** What runs keeps its addresses against what doesn't. The names of veths that don't exist are made up. */
export function asIfRunning(asItIs: Assembled, inputs: Pick<HostInputs, 'containers' | 'veths'>): Assembled {
  const veths = new Map(inputs.veths);
  for (const { endpoints } of inputs.containers)
    for (const { key } of endpoints) {
      if (veths.has(key)) continue;
      const name = parseInterfaceName(`stopped-${veths.size}`);
      if (name !== undefined) veths.set(key, name);
    }
  return veths.size === inputs.veths.size ? asItIs : asItIs.withVeths(veths);
}

export const assembleAsIfRunning = (inputs: HostInputs, assembler: Assembler = createAssembler()): Assembled =>
  asIfRunning(assembler.assemble(inputs), inputs);
