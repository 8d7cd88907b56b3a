/** A place is where a command runs: a network namespace of ours, or a container's. */
import { type Child, type ChildOptions, startChild } from './child.ts';
import { type RunOptions, type RunResult, run, runForResult } from './run.ts';

export interface Place {
  readonly label: string;
  /** Throws when the exit status isn't 0. */
  run(command: string, args?: readonly string[], options?: RunOptions): Promise<RunResult>;
  runForResult(command: string, args?: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a child here that is stopped with the place, or before. */
  spawn(command: string, args?: readonly string[], options?: ChildOptions): Child;
  /** Stops the children that were started here. */
  close(): Promise<void>;
}

/** `prefix` is the command that enters the place, such as `ip netns exec NAME`; it must exec, not fork. */
export function createPlace(label: string, prefix: readonly [string, ...string[]]): Place {
  const [enter, ...entering] = prefix;
  const children = new Set<Child>();
  return {
    label,
    run: (command, args = [], options) => run(enter, [...entering, command, ...args], options),
    runForResult: (command, args = [], options) => runForResult(enter, [...entering, command, ...args], options),
    spawn: (command, args = [], options) => {
      const child = startChild(enter, [...entering, command, ...args], options);
      children.add(child);
      return child;
    },
    close: async () => {
      await Promise.all([...children].map((child) => child.stop()));
      children.clear();
    },
  };
}
