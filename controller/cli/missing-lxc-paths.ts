/** LXC paths of routewall.yaml in which no container can be: the daemon waits for such a folder, since it may come yet. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseContent } from '../../policies/parse-content.ts';
import { problemOf } from '../../policies/policy-document.ts';
import type { Problem } from '../../policies/problem.ts';
import { readWholeFile } from '../../policies/read-file.ts';
import { maxStructuredBytes, readSourceText } from '../../policies/source-text.ts';

/** `file`: where the configuration is; `shown`: what to call it. Its errors are told elsewhere. */
export function missingLxcPaths(file: string, shown: string): Problem[] {
  if (!existsSync(file)) return [];
  const source = readSourceText(
    readWholeFile(file, { maxBytes: maxStructuredBytes, strict: false }),
    maxStructuredBytes,
  );
  if ('finding' in source) return [];
  const { data, places } = parseContent('config', source.text, file.endsWith('.json') ? 'json' : 'yaml');
  return (data?.lxcPaths ?? []).flatMap((path, index) => {
    const message = mistake(path);
    if (message === undefined) return [];
    return problemOf(shown, { ...places.placeOf(['lxcPaths', index]), message, severity: 'warning' });
  });
}

function mistake(path: string): string | undefined {
  if (!existsSync(path)) return `there is no folder ${path}: no container is looked for there`;
  return existsSync(join(path, 'config'))
    ? `${path} is one container's folder: the LXC path is ${dirname(path)}`
    : undefined;
}
