/** Which backend serves this host, by its configuration and by what the kernel can do. */
import type { HostConfig } from '../policies/config.ts';
import { missingTool, systemVariant, type XtVariant } from './iptables/xt-tools.ts';
import type { Run } from './run.ts';

export type ChosenBackend = 'nftables' | `iptables-${XtVariant}`;

export const variantOf = (chosen: ChosenBackend): XtVariant | undefined =>
  chosen === 'nftables' ? undefined : chosen === 'iptables-legacy' ? 'legacy' : 'nft';

/**
 * `iptables`: whichever variant the system's own command is. `auto`: nftables, and legacy iptables only where the kernel
 * has no nf_tables. @throws Error with what is missing.
 */
export async function chooseBackend(run: Run, wanted: HostConfig['backend']): Promise<ChosenBackend> {
  if (wanted === 'nftables') return 'nftables';
  if (wanted === 'auto') {
    const asked = await run('nft', ['list', 'tables']).catch(() => undefined);
    if (asked?.exitCode === 0 || (await missingTool(run, 'legacy')) !== undefined) return 'nftables';
    return 'iptables-legacy';
  }
  const variant = await systemVariant(run);
  const missing = variant === undefined ? "iptables doesn't run: on Debian, apt-get install iptables" : undefined;
  const why = missing ?? (variant && (await missingTool(run, variant)));
  if (variant === undefined || why !== undefined) throw new Error(`backend: iptables: ${why}`);
  return `iptables-${variant}`;
}
