/** The command line, asked many times in one process; see `ask-many.ts`. */
import { readFileSync } from 'node:fs';
import { runCommandLine } from '../../controller/cli/program.ts';
import { type CommandResult, type Run, run } from '../../controller/commands/run.ts';
import { listOf } from '../../sandbox/json.ts';

const known = new Map<string, Promise<CommandResult>>();

/** Nothing on the host changes in between: each program is asked once. */
const runOnce: Run = (command, args, options) => {
  const key = JSON.stringify([command, args, options]);
  const before = known.get(key) ?? run(command, args, options);
  known.set(key, before);
  return before;
};

async function answer(words: readonly string[]): Promise<CommandResult> {
  const said = { stdout: '', stderr: '' };
  const stream = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      said[name] += text;
    },
    isTerminal: false,
  });
  const exitCode = await runCommandLine(words, {
    ...{ out: stream('stdout'), err: stream('stderr'), env: process.env, folder: process.cwd(), isRoot: true },
    loadRun: () => Promise.resolve(runOnce),
    loadReader: () => Promise.resolve(runOnce),
  });
  return { exitCode, ...said };
}

const questions: unknown = JSON.parse(readFileSync(0, 'utf8'));
const answers: CommandResult[] = [];
for (const words of listOf(questions)) answers.push(await answer(listOf(words).map(String)));
process.stdout.write(JSON.stringify(answers));
