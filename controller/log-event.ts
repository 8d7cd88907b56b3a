/** What a line of the log can be about, and the number by which each kind is found in the journal (`MESSAGE_ID=`). */

export const MESSAGE_IDS = {
  /** The first pass is through. */
  ready: 'a5e441a0bd744bc3b402914bf8f1c30f',
  /** An interface's rules, routes and proxies came into force, or others did. */
  enforced: '9783f7b1919d4e4ab971ab9d6f328d8c',
  /** They were taken away. */
  removed: 'e78639950ab44913a14a013fb2d0eb0d',
  /** The hook asked, and the container may start. */
  admitted: 'bfa0b66115454e81861c6f06444f8f23',
  /** It may not. */
  refused: 'e012840e1e8647c5a3dc3337f0a91f05',
  /** Something is wrong with a file, or the system refused something. */
  problem: '995d83ba66ae42788ae6881efe944e81',
  /** It no longer is. */
  solved: '872ba663620e4b51a871c46ec02605f1',
  /** What someone else changed was put back. */
  repaired: 'cc26dc33ce8047fdb37e45a403a74b04',
  /** Connections that a policy no longer allows were ended. */
  cut: 'ae5859df0229424185c7434f3c894ed3',
  /** Containers were sealed, or no longer are. */
  panic: '4c0165318142443696b489f1d88c28c5',
} as const satisfies Readonly<Record<string, string>>;

export type LogEvent = keyof typeof MESSAGE_IDS;

/** By what a line can be found in the journal: `CONTAINER` stands there as `ROUTEWALL_CONTAINER`. */
export type LogFields = Readonly<{ EVENT: LogEvent }> &
  Readonly<Partial<Record<'CONTAINER' | 'INTERFACE' | 'POLICY_FILE' | 'POLICY_LINE', string>>>;
