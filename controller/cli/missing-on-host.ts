/** What routewall.yaml names and this host doesn't have: the daemon waits for it, since it may come yet. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseContent } from '../../policies/parse-content.ts';
import type { Path } from '../../policies/places.ts';
import { problemOf } from '../../policies/policy-document.ts';
import type { Problem } from '../../policies/problem.ts';
import { readWholeFile } from '../../policies/read-file.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';
import { parseInterfaceName } from '../../render/names.ts';
import { linkExists } from '../host/container-runtime.ts';

/** `file`: where the configuration is; `shown`: what to call it. Its errors are told elsewhere. */
export function missingOnHost(file: string, shown: string): Problem[] {
  if (!existsSync(file)) return [];
  const source = readSourceText(
    readWholeFile(file, { maxBytes: maxStructuredBytes, strict: false }),
    maxStructuredBytes,
  );
  if ('finding' in source) return [];
  const { data, places } = parseContent('config', source.text, file.endsWith('.json') ? 'json' : 'yaml');
  const { lxcPaths = [], uplinks = [] } = data ?? {};
  const warn = (path: Path, message: string | undefined): Problem[] =>
    message === undefined ? [] : [problemOf(shown, { ...places.placeOf(path), message, severity: 'warning' })];
  return [
    ...lxcPaths.flatMap((path, index) => warn(['lxcPaths', index], pathMistake(path))),
    ...(typeof uplinks === 'string'
      ? warn(['uplinks'], uplinks === 'auto' ? undefined : uplinkMistake(uplinks))
      : uplinks.flatMap((name, index) => warn(['uplinks', index], uplinkMistake(name)))),
  ];
}

function uplinkMistake(text: string): string | undefined {
  const name = parseInterfaceName(text);
  if (name === undefined || linkExists(name)) return undefined;
  return `there is no interface ${name}: until it comes, nobody is lan there, and nothing is masqueraded`;
}

function pathMistake(path: string): string | undefined {
  if (!existsSync(path)) return `there is no folder ${path}: no container is looked for there`;
  return existsSync(join(path, 'config'))
    ? `${path} is one container's folder: the LXC path is ${dirname(path)}`
    : undefined;
}
