/** Log lines on standard error; under systemd with the priority and the fields that journald understands. */
import { openDatagramSender } from './apply/datagram-sender.ts';
import type { StartResident } from './commands/run.ts';
import { type LogFields, MESSAGE_IDS } from './log-event.ts';
import { rememberLast } from './remember.ts';

export type Level = 'error' | 'warning' | 'info' | 'debug';

export type Log = (level: Level, message: string, fields?: LogFields) => void;

/** sd-daemon(3) */
const PRIORITY: Record<Level, number> = { error: 3, warning: 4, info: 6, debug: 7 };

/** systemd's native protocol, https://systemd.io/JOURNAL_NATIVE_PROTOCOL */
const JOURNAL = '/run/systemd/journal/socket';

/** Bytes of lines that nobody takes: a journal that is stopped for long must not fill the memory. */
const MOST_WAITING = 1024 * 1024;

export interface LogOptions {
  /** How to reach the journal, where systemd says (JOURNAL_STREAM) that it is what reads standard error. */
  readonly journal: StartResident | undefined;
  readonly debug: boolean;
}

export interface Logger {
  readonly log: Log;
  /** Ends what speaks to the journal, and would keep the process alive. */
  close(): void;
}

/** Without a journal, each line begins with the time and the level. */
export function openLog({ journal, debug }: LogOptions): Logger {
  let lost = 0;
  const timeOf = rememberLast((time: number) => new Date(time).toISOString());
  const write = (level: Level, line: string): void => {
    const head = journal === undefined ? `${timeOf(Date.now())} ${level}: ` : `<${PRIORITY[level]}>`;
    writeText(`${head}${line}\n`);
  };
  const print = (level: Level, line: string): void => {
    if (process.stderr.writableLength + (together?.length ?? 0) > MOST_WAITING) {
      lost += 1;
      return;
    }
    if (lost > 0) write('warning', `log: ${lost} lines are lost, since nobody took those before`);
    lost = 0;
    write(level, line);
  };
  const send =
    journal === undefined
      ? undefined
      : openDatagramSender(JOURNAL, journal, (text) => print('warning', `journal: ${text}`));
  const log: Log = (level, message, fields) => {
    if (level === 'debug' && !debug) return;
    // A newline in a container's name must not forge a line or a field of ours.
    const line = message.replaceAll('\n', '\\n');
    if (send === undefined || fields === undefined) print(level, line);
    else send(renderEntry(level, line, fields));
  };
  return { log, close: () => send?.(undefined) };
}

/** What is said together, until it is written. */
let together: string | undefined;

function writeText(text: string): void {
  if (together === undefined) process.stderr.write(text);
  else together += text;
}

/** What is said meanwhile is one text: a thousand would wake as often whoever reads them, and each costs a stream's bookkeeping. */
export function sayTogether(say: () => void): void {
  together = '';
  try {
    say();
  } finally {
    const text = together;
    together = undefined;
    if (text !== '') process.stderr.write(text);
  }
}

/** One entry: `KEY=value` a line. */
export function renderEntry(level: Level, line: string, fields: LogFields): string {
  const own = Object.entries(fields).map(([key, value]) => `ROUTEWALL_${key}=${value.replaceAll('\n', '\\n')}`);
  const [id, priority] = [MESSAGE_IDS[fields.EVENT], PRIORITY[level]];
  return [
    ...[`MESSAGE=${line}`, `MESSAGE_ID=${id}`, `PRIORITY=${priority}`, 'SYSLOG_IDENTIFIER=routewall'],
    ...[...own, ''],
  ].join('\n');
}

/** The message with those of its causes; what it quotes of them isn't said twice. */
export function messageOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const inner = cause.cause === undefined ? '' : messageOf(cause.cause);
  return inner === '' || cause.message.includes(inner) ? cause.message : `${cause.message}: ${inner}`;
}
