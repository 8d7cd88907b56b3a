/** Which backend serves this host, by its configuration and by what the kernel can do. */
import type { HostConfig } from '../../policies/config.ts';
import type { CommandResult, Run } from '../commands/run.ts';
import { missingTool, systemVariant, type XtVariant } from '../iptables/xt-tools.ts';
import type { BackendName } from './backend.ts';

export type ChosenBackend = 'nftables' | `iptables-${XtVariant}`;

export const variantOf = (chosen: ChosenBackend): XtVariant | undefined =>
  chosen === 'nftables' ? undefined : chosen === 'iptables-legacy' ? 'legacy' : 'nft';

/** Which kind serves, or will, on the live host; `run` isn't asked where the configuration says it. */
export async function servedBackend(run: Run, wanted: HostConfig['backend']): Promise<BackendName> {
  if (wanted !== 'auto') return wanted;
  return variantOf(await chooseBackend(run, wanted)) === undefined ? 'nftables' : 'iptables';
}

/** nft's words where the kernel knows no such netlink family, or no such part of it. */
const NO_NF_TABLES = /not supported|Invalid argument/;

/** By what a listing ended with: any other failure, as for want of memory, says nothing about the kernel. */
export const lacksNfTables = ({ exitCode, stderr }: CommandResult): boolean =>
  exitCode !== 0 && NO_NF_TABLES.test(stderr);

/**
 * `iptables`: whichever variant the system's own command is. `auto`: nftables, and legacy iptables only where the kernel
 * has no nf_tables. @throws Error with what is missing.
 */
export async function chooseBackend(run: Run, wanted: HostConfig['backend']): Promise<ChosenBackend> {
  if (wanted === 'nftables') return 'nftables';
  if (wanted === 'auto') {
    // Not its tables, which nft 1.0.6 lists only after it has read every element of theirs: a second among 10,000 containers.
    const asked = await run('nft', ['list', 'chains']).catch(() => undefined);
    const isLegacy = asked !== undefined && lacksNfTables(asked);
    return isLegacy && (await missingTool(run, 'legacy')) === undefined ? 'iptables-legacy' : 'nftables';
  }
  const variant = await systemVariant(run);
  const missing = variant === undefined ? "iptables doesn't run: on Debian, apt-get install iptables" : undefined;
  const why = missing ?? (variant && (await missingTool(run, variant)));
  if (variant === undefined || why !== undefined) throw new Error(`backend: iptables: ${why}`);
  return `iptables-${variant}`;
}
