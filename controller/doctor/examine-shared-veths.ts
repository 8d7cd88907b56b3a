/** Names of host-side veths that several configurations fix, as those of copied containers do; pure. */
import type { LxcConfig } from '../../watchers/lxc-config/config.ts';
import type { Finding } from './finding.ts';

interface NamedConfig {
  readonly container: string;
  readonly lxc: LxcConfig;
}

/** LXC says of the second one's start only that a file exists. */
export function examineSharedVeths(configs: readonly NamedConfig[]): Finding[] {
  const named = configs.flatMap(({ container, lxc }) =>
    lxc.nics.flatMap((nic) => (nic.vethPair ? [{ container, nic, veth: nic.vethPair }] : [])),
  );
  const users = new Map<string, Set<string>>();
  for (const { veth, container } of named) users.set(veth, (users.get(veth) ?? new Set()).add(container));
  return named.flatMap(({ container, nic: { index, place }, veth }): Finding[] => {
    const others = [...(users.get(veth) ?? [])].filter((name) => name !== container);
    if (others.length === 0) return [];
    const message = `veth.pair ${veth} is that of ${others.join(', ')} too: while one of them runs, LXC starts no other`;
    const mend = `another name for lxc.net.${index}.veth.pair, or none (${place.file}:${place.line})`;
    return [{ severity: 'note', container, message, mend }];
  });
}
