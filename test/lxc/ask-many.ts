/** Hundreds of questions to the command line on a live host, for little more than the price of one. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder } from '../../sandbox/clean-up.ts';
import { listOf, numberOf, textOf } from '../../sandbox/json.ts';
import { NODE } from '../../sandbox/routewall.ts';
import { type RunResult, run } from '../../sandbox/run.ts';
import type { Routewall } from './routewall.ts';

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** As `rw.cli` would answer each of them, if nothing changed in between. */
export async function askMany(rw: Routewall, questions: readonly (readonly string[])[]): Promise<RunResult[]> {
  const file = join(await makeFolder(), 'answer-many.mjs');
  await run(process.execPath, [pathOf('../../scripts/bundle.mjs'), pathOf('answer-many.ts'), file]);
  // Without Node and the program that `command` begins with.
  const input = JSON.stringify(questions.map((words) => rw.command(words).slice(2)));
  const { stdout } = await rw.bed.host.run(NODE, [file], { input, env: rw.env, timeout: 120_000 });
  const answers: unknown = JSON.parse(stdout);
  return listOf(answers).map((answer) => ({
    exitCode: numberOf(answer, 'exitCode'),
    stdout: textOf(answer, 'stdout'),
    stderr: textOf(answer, 'stderr'),
  }));
}
