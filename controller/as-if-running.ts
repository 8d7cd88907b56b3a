/** The state as it would be if every container ran, for answers about those that don't. */
import { parseInterfaceName } from '../render/names.ts';
import { type Assembled, type Assembler, createAssembler, type HostInputs } from './assemble.ts';

/** What runs keeps its addresses against what doesn't. The names of veths that don't exist are made up. */
export function assembleAsIfRunning(inputs: HostInputs, assembler: Assembler = createAssembler()): Assembled {
  // The first result makes holders of those that run.
  const asItIs = assembler.assemble(inputs);
  if (doAllRun(inputs)) return asItIs;
  const veths = new Map(inputs.veths);
  for (const { key } of inputs.containers.flatMap(({ endpoints }) => endpoints)) {
    const name = parseInterfaceName(`stopped-${veths.size}`);
    if (!veths.has(key) && name !== undefined) veths.set(key, name);
  }
  return assembler.assemble({ ...inputs, veths });
}

export const doAllRun = ({ containers, veths }: HostInputs): boolean =>
  containers.every(({ endpoints }) => endpoints.every(({ key }) => veths.has(key)));
