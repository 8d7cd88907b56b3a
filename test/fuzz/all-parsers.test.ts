/** No parser is forgotten: each one that a file exports is read by the fuzz, or stands here with who does it. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const FOLDERS = ['controller', 'policies', 'render', 'watchers'];

/** Reached by a reader of the fuzz that is called otherwise, or no text from outside. */
const OTHERWISE: Readonly<Record<string, string>> = {
  parseLxcConfig: "parseText of the tests: LXC's configuration",
  parseYaml: 'loadPolicies and parseConfig',
  parseContent: 'loadPolicies and parseConfig',
  parseFwFile: 'importProxmox',
  parseLinks: 'readLinks',
  parseUplinkRoute: 'readUplinkRoutes',
  parseDefaultRoute: 'readHostRouting',
  parseDnsAnswers: 'parseStateFile',
  parseStateRoutes: 'parseStateFile',
  parseUnsigned: 'parseLxcConfig',
  parseSigned: 'parseLxcConfig',
  parseProblem: 'parseStatus',
  parseServer: 'parseStatus',
  parseUnread: 'parseStatus',
  parseWires: 'parseStatus',
  parseUnenforced: 'parseListed',
  parseObserving: 'parseListed',
  parseAnswer: 'parseAnswers',
};

const exported = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => [
      ...readFileSync(`${folder}/${path}`, 'utf8').matchAll(/^export (?:async )?(?:function|const) (parse[A-Z]\w*)/gm),
    ])
    .map(([, name = '']) => name),
);
const readers = readdirSync('test/fuzz')
  .filter((path) => path.endsWith('-readers.ts') || path === 'dbus-messages.test.ts')
  .map((path) => readFileSync(`test/fuzz/${path}`, 'utf8'))
  .join('\n');

test('each exported parser is fuzzed', () => {
  expect(exported.length).toBeGreaterThan(50);
  const isRead = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(readers);
  expect(exported.filter((name) => !isRead(name) && OTHERWISE[name] === undefined)).toEqual([]);
  expect(Object.keys(OTHERWISE).filter((name) => isRead(name) || !exported.includes(name))).toEqual([]);
});
