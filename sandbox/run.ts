/** Runs a command to its end, without a shell. */
import { execa } from 'execa';
import { childEnvironment } from './mark.ts';

export interface RunOptions {
  readonly input?: string;
  /** Milliseconds; 120,000 by default: the kernel makes, changes and deletes links for one namespace of the machine after another. */
  readonly timeout?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

/** Never fails for what the command answers; throws only when it couldn't be run or took too long. */
export async function runForResult(
  command: string,
  args: readonly string[] = [],
  { input = '', timeout = 120_000, env = {} }: RunOptions = {},
): Promise<RunResult> {
  const result = await execa(command, args, {
    reject: false,
    input,
    timeout,
    env: { ...childEnvironment(), ...env },
    extendEnv: false,
  });
  const { stdout, stderr, exitCode } = result;
  if (exitCode === undefined) {
    const why = result.timedOut ? `took longer than ${timeout} ms` : (result.originalMessage ?? 'was killed');
    throw new Error(`${[command, ...args].join(' ')}: ${why}\n${stderr}`);
  }
  return { stdout, stderr, exitCode };
}

/** Throws with the command and all that it said when its exit status isn't 0. */
export async function run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<RunResult> {
  const result = await runForResult(command, args, options);
  if (result.exitCode !== 0) {
    const said = [result.stderr, result.stdout].filter((text) => text !== '').join('\n');
    throw new Error(`${[command, ...args].join(' ')}: exit status ${result.exitCode}\n${said}`);
  }
  return result;
}
