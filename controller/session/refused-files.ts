/** Files that the kernel refused to have read, as for want of a descriptor: the next pass reads them again. */
import type { RefusedFiles } from '../host/host-reader.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import type { Refusable } from './tried-again.ts';

export interface RefusedFilesOptions {
  readonly refused: () => RefusedFiles;
  readonly isConfigRefused: () => boolean;
  /** Asks for a pass, and gives what it is to read again. */
  readonly mark: () => DirtyParts;
}

export const refusedFiles = ({ refused, isConfigRefused, mark }: RefusedFilesOptions): Refusable => ({
  isRefused: () => {
    const { policies, configs, leases } = refused();
    return policies.size > 0 || configs.size > 0 || leases || isConfigRefused();
  },
  again: () => {
    const { policies, configs, leases } = refused();
    const dirty = mark();
    if (dirty.policies !== 'all') for (const file of policies) dirty.policies.add(file);
    for (const [id, container] of configs) dirty.configs.set(id, container);
    if (leases) dirty.leases = true;
    if (isConfigRefused()) dirty.config = true;
  },
});
