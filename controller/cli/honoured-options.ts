/** Which of the shared options a command honours. Another one is refused: whoever gives it counts on what it says. */
import type { Command, Option } from 'commander';
import { CliError, EXIT } from './exit.ts';

const FLAGS = {
  config: '--config',
  policies: '--policies',
  lxcPath: '-P',
  name: '-n',
  json: '--json',
  state: '--state',
} as const;

type SharedOption = keyof typeof FLAGS;

/** What is read in place of this host's own. */
export const FILES = ['config', 'policies', 'lxcPath'] as const;

interface Honours {
  readonly options: readonly SharedOption[];
  /** With `--state` it asks nothing of the live host. */
  readonly isOffline?: boolean;
  /** What the command does instead of what other options ask for; only needed where there are others. */
  readonly instead?: string;
}

const declared = new WeakMap<Command, Honours>();

/** @returns the command, so that its declaration goes on. */
export function honouring(command: Command, honours: Honours): Command {
  declared.set(command, honours);
  return command;
}

const isShared = (key: string): key is SharedOption => Object.hasOwn(FLAGS, key);

const honours = (command: Command, key: SharedOption): boolean => declared.get(command)?.options.includes(key) === true;

/** Those for its `--help`; what isn't in question with any command, such as `--no-color`, is always there. */
export function globalOptionsOf(command: Command): Option[] {
  return (command.parent?.options ?? []).filter((option) => {
    const key = option.attributeName();
    return !isShared(key) || honours(command, key);
  });
}

/** @throws CliError for an option on the line that the command doesn't honour. */
export function requireHonoured(program: Command, command: Command): void {
  for (const key of Object.keys(FLAGS).filter(isShared)) {
    if (program.getOptionValueSource(key) !== 'cli' || honours(command, key)) continue;
    const others = program.commands.filter((other) => honours(other, key)).map((other) => other.name());
    const instead = declared.get(command)?.instead ?? 'does not heed it';
    throw new CliError(EXIT.usage, `${command.name()}: ${instead}; ${FLAGS[key]} is for ${others.join(', ')}`);
  }
}

/** Whether somebody who isn't root gets an answer by `--state`. */
export const isOffline = (command: Command | undefined): boolean =>
  command !== undefined && declared.get(command)?.isOffline === true;
