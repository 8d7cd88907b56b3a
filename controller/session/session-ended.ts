/** The error for callers of a session that ended meanwhile. */

/** Another session has taken its place, under another configuration: ask that one. */
export class SessionEnded extends Error {
  override readonly name = 'SessionEnded';

  constructor() {
    super('the daemon is taking up another configuration, or is about to end');
  }
}
