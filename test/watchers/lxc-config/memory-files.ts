/** A disk that holds only what a test says. */
import type { LxcConfig, LxcFiles } from '../../../watchers/lxc-config/config.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';

/** Keys are absolute paths; folders follow from them, and list in the order given. */
export function memoryFiles(files: Readonly<Record<string, string>>): LxcFiles {
  const paths = Object.keys(files);
  const clean = (path: string): string => path.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
  return {
    read: (file) => files[clean(file)],
    list(folder) {
      const prefix = `${clean(folder)}/`;
      const below = paths.filter((path) => path.startsWith(prefix));
      const names = below.map((path) => path.slice(prefix.length).split('/')[0] ?? '');
      return below.length === 0 ? undefined : [...new Set(names)];
    },
  };
}

export const CONFIG = '/lxc/web/config';

/** Parses `text` as the container's own file. */
export const parseText = (text: string, others: Readonly<Record<string, string>> = {}): LxcConfig =>
  parseLxcConfig(CONFIG, memoryFiles({ ...others, [CONFIG]: text }));

/** `LINE:COLUMN severity: message`, with the file before it where it isn't the container's own. */
export const tellProblems = (config: LxcConfig): string[] =>
  config.problems.map(
    ({ file, line, column, severity, message }) =>
      `${file === CONFIG ? '' : `${file}:`}${line}:${column} ${severity}: ${message}`,
  );

/** Everything but where it stood. */
export function withoutPlaces(config: LxcConfig): unknown {
  const { nics, groups, utsName, loadable, problems } = config;
  const meaning = {
    nics,
    groups,
    utsName,
    loadable,
    problems: problems.map(({ message, severity }) => ({ message, severity })),
  };
  return JSON.parse(JSON.stringify(meaning, (key, value: unknown) => (key === 'place' ? undefined : value)));
}
