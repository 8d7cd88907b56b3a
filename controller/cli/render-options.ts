/** What `routewall render` can be asked for. */

export const WHAT = ['rules', 'nft', 'routing', 'all'] as const;
export const BACKENDS = ['auto', 'nftables', 'iptables', 'iptables-legacy', 'iptables-nft'] as const;

export interface RenderOptions {
  readonly what: (typeof WHAT)[number];
  /** `iptables`: by the commands without an ending. */
  readonly backend: (typeof BACKENDS)[number];
}
