/** Log lines on standard error; under systemd with the priority that journald understands. */

export type Level = 'error' | 'warning' | 'info' | 'debug';

export type Log = (level: Level, message: string) => void;

/** sd-daemon(3) */
const PRIORITY: Record<Level, number> = { error: 3, warning: 4, info: 6, debug: 7 };

/** `journal`: as systemd tells by JOURNAL_STREAM; otherwise each line begins with the time and the level. */
export function createLog(options: { readonly journal: boolean; readonly debug: boolean }): Log {
  return (level, message) => {
    if (level === 'debug' && !options.debug) return;
    // A newline in a container's name must not forge a line of ours.
    const line = message.replaceAll('\n', '\\n');
    const head = options.journal ? `<${PRIORITY[level]}>` : `${new Date().toISOString()} ${level}: `;
    process.stderr.write(`${head}${line}\n`);
  };
}

/** The message with those of its causes. */
export function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause === undefined ? cause.message : `${cause.message}: ${messageOf(cause.cause)}`;
}
