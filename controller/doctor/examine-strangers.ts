/** Interfaces that the guard takes for a container's, and that may be another program's; pure. */
import type { HostLink } from '../../policies/host-network.ts';
import type { Finding } from './finding.ts';

export interface Strangers {
  readonly links: readonly HostLink[];
  readonly isGuarded: (link: string) => boolean;
  /** Host-side veths of the containers that policies are for. */
  readonly claimed: ReadonlySet<string>;
}

/** A bridge's port is none: what passes the bridge has the bridge's name. */
export const examineStrangers = ({ links, isGuarded, claimed }: Strangers): Finding[] =>
  links
    .filter(({ name, down, noCarrier, master }) => {
      const isInUse = down !== true && noCarrier !== true && master === undefined;
      return isInUse && !claimed.has(name) && isGuarded(name);
    })
    .map(({ name }) => ({
      severity: 'note',
      container: null,
      message: `${name} looks like a container's, and belongs to none that a policy is for: guard shuts it`,
      mend: 'where it is another program\'s: "uplinks" that names it, or a "guard" that doesn\'t match it, in routewall.yaml',
    }));
