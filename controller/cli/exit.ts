/** How a command ends: 0 fine, 1 the answer is no or the input has errors, 2 wrong usage, 3 the system refused. */
import { messageOf } from '../log.ts';

export const EXIT = { fine: 0, no: 1, usage: 2, refused: 3 } as const;

/** An end that the user is told in one sentence; everything else is a mistake of ours or of the system. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

const DENIED = new Set(['EACCES', 'EPERM']);
const DENIED_TEXT = /Operation not permitted|Permission denied|must be root|Insufficen?t privileges/;

interface Asker {
  readonly isRoot: boolean;
  /** Whether `--state` would spare the question that was refused. */
  readonly offline?: boolean;
}

/** What to print, and the exit status, for whatever a command threw. */
export function describeFailure(
  cause: unknown,
  { isRoot, offline = false }: Asker,
): { readonly message: string; readonly exitCode: number } {
  if (cause instanceof CliError) return { message: cause.message, exitCode: cause.exitCode };
  const message = messageOf(cause);
  const denied = isDenied(cause) || DENIED_TEXT.test(message);
  const advice = offline ? '; run it as root, or give --state FILE' : '; run it as root';
  return { message: `${message}${denied && !isRoot ? advice : ''}`, exitCode: EXIT.refused };
}

function isDenied(cause: unknown): boolean {
  if (!(cause instanceof Error)) return false;
  return ('code' in cause && DENIED.has(String(cause.code))) || isDenied(cause.cause);
}
