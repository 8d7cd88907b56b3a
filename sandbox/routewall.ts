/** The product's command line, run as a user would run it in the host's namespace. */
import { fileURLToPath } from 'node:url';
import { fieldOf, listOf, numberOf, textOf } from './json.ts';
import type { Place } from './place.ts';
import type { RunResult } from './run.ts';

/** Runs the daemon and the commands: another one than this here, to try the product under it. */
export const NODE = process.env['ROUTEWALL_NODE'] ?? process.execPath;
/** The built program, beside this one or in the checkout. */
export const PROGRAM = fileURLToPath(new URL('../dist/routewall.mjs', import.meta.url));

export interface Installation {
  readonly host: Place;
  readonly lxcPath: string;
  /** The folder that holds containers/. */
  readonly policies: string;
  readonly config: string;
  /** Where the daemon keeps its socket and its memory, as systemd would say it. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Explanation {
  readonly verdict: 'allow' | 'drop' | 'reject';
  /** What decided, such as `egress of web: web.yaml:5 allow postgresql`. */
  readonly reason: string;
}

/** They ask the daemon, or read what it has kept: whose files those are isn't theirs to say. */
const WITHOUT_FILES: readonly (string | undefined)[] = ['apply', 'confirm', 'rollback', 'history'];

/** The options by which a command reads these in place of this machine's, where it reads any. */
export const fileOptions = (
  [command]: readonly string[],
  { config, policies, lxcPaths }: Pick<Installation, 'config' | 'policies'> & { readonly lxcPaths: readonly string[] },
): string[] =>
  WITHOUT_FILES.includes(command)
    ? []
    : ['--config', config, '--policies', policies, ...lxcPaths.flatMap((path) => ['-P', path])];

export const commandOf = ({ config, policies, lxcPath }: Installation, words: readonly string[]): string[] => [
  PROGRAM,
  ...words,
  ...fileOptions(words, { config, policies, lxcPaths: [lxcPath] }),
];

/** Answers 0 and 1 are results; anything else is an error with all that was said. */
export async function runRoutewall(installation: Installation, words: readonly string[]): Promise<RunResult> {
  const args = commandOf(installation, words);
  const result = await installation.host.runForResult(NODE, args, { env: installation.env });
  if (result.exitCode > 1) {
    throw new Error(`routewall ${words.join(' ')}: exit status ${result.exitCode}\n${result.stderr}\n${result.stdout}`);
  }
  return result;
}

async function readJson(installation: Installation, words: readonly string[]): Promise<unknown> {
  const { stdout, stderr } = await runRoutewall(installation, [...words, '--json']);
  try {
    return JSON.parse(stdout);
  } catch (cause) {
    throw new Error(`routewall ${words.join(' ')}: printed no JSON\n${stdout}\n${stderr}`, { cause });
  }
}

/** `from` and `to` as on the command line: `container:NAME`, `host` or an address. */
export async function explain(
  installation: Installation,
  { from, to, service }: { readonly from: string; readonly to: string; readonly service: string },
): Promise<Explanation> {
  const answer = await readJson(installation, ['explain', '--from', from, '--to', to, service]);
  const verdict = textOf(answer, 'verdict');
  if (verdict !== 'allow' && verdict !== 'drop' && verdict !== 'reject') throw new Error(`explain: said ${verdict}`);
  return { verdict, reason: reasonOf(listOf(fieldOf(answer, 'steps')), verdict) };
}

/** The step that refused, or else all that allowed. */
function reasonOf(steps: readonly unknown[], verdict: Explanation['verdict']): string {
  const deciding = steps.filter((step) => textOf(step, 'verdict') === verdict);
  const texts = (verdict === 'allow' ? deciding : deciding.slice(0, 1)).map((step) => {
    const rule = fieldOf(step, 'rule');
    if (rule === null || rule === undefined) return `${textOf(step, 'at')}: by default`;
    return `${textOf(rule, 'file').replace(/^.*\//, '')}:${numberOf(rule, 'line')} ${textOf(rule, 'text')}`;
  });
  return texts.join(', then ') || 'no policy stands between them';
}

/** Whether the kernel holds exactly what the files say. */
export async function isInForce(installation: Installation): Promise<boolean> {
  return fieldOf(await readJson(installation, ['preview']), 'changed') === false;
}
