/**
 * A resident nft or ip that takes text and says how it went, without a fork on the event's path.
 *
 * Neither tool says anything on success. So a word that it doesn't know follows each text: its complaint about that
 * word, on the same stream as its other errors, proves that everything before it has been done or refused.
 */
import { type Answer, type AnswerText, openAnswerText } from './answer-text.ts';
import { CommandError, type Resident, type StartResident } from './run.ts';

export interface Channel {
  /** @throws CommandError when there is no answer: the text may or may not have been done. */
  send(text: string): Promise<Answer>;
  /** Starts the child before there is a text for it. */
  begin(): void;
  stop(): void;
  readonly pid: number | undefined;
}

interface Waiting {
  readonly text: AnswerText;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (cause: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface ChannelOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly start: StartResident;
  /** Matches the tool's complaint about the word, to its very end: what follows belongs to the next text. */
  readonly complaintAbout: (word: string) => RegExp;
  /** Told when the child was lost, for whatever reason but `stop`. */
  readonly onLost?: () => void;
  /** Milliseconds to wait for an answer before the child is given up. */
  readonly timeout: number;
}

/** The child starts with the first text at the latest, and anew with the next text after it died. */
export function openChannel({ command, args, start, complaintAbout, timeout, onLost }: ChannelOptions): Channel {
  let child: Resident | undefined;
  let waiting: Waiting | undefined;
  let count = 0;
  // One text at a time, so that an answer can only belong to the text before it.
  let last: Promise<unknown> = Promise.resolve();

  function lose(cause: Error): void {
    fail(cause);
    onLost?.();
  }

  function fail(cause: Error): void {
    child?.kill();
    child = undefined;
    const failed = waiting;
    waiting = undefined;
    if (failed === undefined) return;
    clearTimeout(failed.timer);
    const said = inFewWords(failed.text.output);
    failed.reject(new CommandError(`${command}: no answer: ${cause.message}${said}`, { cause }));
  }

  function take(text: string): void {
    // What nobody waits for belongs to no text.
    if (waiting === undefined) return;
    const { resolve, timer } = waiting;
    try {
      const answer = waiting.text.add(text);
      if (answer === undefined) return;
      clearTimeout(timer);
      waiting = undefined;
      resolve(answer);
    } catch (cause) {
      lose(cause instanceof Error ? cause : new Error(String(cause)));
    }
  }

  function started(): Resident {
    if (child !== undefined) return child;
    const fresh = start(command, args);
    fresh.onErrorOutput((text) => child === fresh && take(text));
    fresh.onEnd((cause) => child === fresh && lose(cause));
    child = fresh;
    return fresh;
  }

  function exchange(text: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const word = `routewall-done-${++count}`;
      const timer = setTimeout(() => lose(new Error(`nothing within ${timeout} ms`)), timeout);
      const target = started();
      waiting = { text: openAnswerText(word, complaintAbout(word)), resolve, reject, timer };
      target.write(`${text.endsWith('\n') ? text : `${text}\n`}${word}\n`);
    });
  }

  return {
    send: (text) => {
      const answer = last.then(() => exchange(text));
      last = answer.catch(() => undefined);
      return answer;
    },
    begin: () => void started(),
    stop: () => fail(new Error('stopped')),
    get pid() {
      return child?.pid;
    },
  };
}

/** For a log's line, which a megabyte of garbage is not. */
function inFewWords(output: string): string {
  if (output === '') return '';
  return output.length > 1000 ? `: ${output.slice(0, 1000)}…` : `: ${output}`;
}
