/** Which interfaces a panic seals: those in force, and those that configurations name, so that none comes unsealed. */
import type { HostConfig } from '../../policies/config.ts';
import type { Container } from '../../policies/endpoint.ts';
import type { NicState } from '../../render/desired.ts';
import { type InterfaceName, matchesAny } from '../../render/names.ts';
import type { Seal } from '../../render/panic.ts';
import { isPanic, isSealed, type PanicState } from './panic-state.ts';

/** What there is to seal; asked only while there is a panic. */
export interface PanicScope {
  readonly config: Pick<HostConfig, 'guard' | 'uplinks'>;
  readonly containers: () => Iterable<Container>;
  readonly nics: () => Iterable<NicState>;
}

/** `undefined` without a panic. */
export function sealFor(state: PanicState, { config, containers, nics }: PanicScope): Seal | undefined {
  if (!isPanic(state)) return undefined;
  const patterns = state.all === null ? [] : config.guard;
  const uplinks = config.uplinks === 'auto' ? [] : config.uplinks;
  const [names, ports] = [new Set<InterfaceName>(), new Set<InterfaceName>()];
  for (const { container, hostVeth, port } of nics()) {
    if (!isSealed(state, container)) continue;
    names.add(hostVeth);
    if (port !== undefined) ports.add(hostVeth);
  }
  for (const { name, endpoints } of containers()) {
    if (!isSealed(state, name)) continue;
    for (const { fixedVeth, attachment } of endpoints) {
      if (fixedVeth === undefined) continue;
      names.add(fixedVeth);
      if (attachment !== undefined) ports.add(fixedVeth);
    }
  }
  // What a pattern says needs no name beside it, which is most of a large host.
  const isMatched = (name: InterfaceName): boolean => !uplinks.includes(name) && matchesAny(name, patterns);
  return { names: new Set([...names].filter((name) => !isMatched(name))), ports, patterns, uplinks };
}
