/** What of other people's ships is what docs/dependencies.md tells, and none of it has a known hole. */
import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { beforeAll, expect, test } from 'vitest';

const text = readFileSync('docs/dependencies.md', 'utf8');
const section = (title: string): string => text.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';
/** The cells of each row but the head. */
const rows = (title: string): string[][] =>
  section(title)
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim().replaceAll('`', '')))
    .slice(1);

let shipped: readonly string[] = [];
beforeAll(async () => {
  const { stdout } = await execa(process.execPath, ['scripts/list-bundled.mjs']);
  shipped = stdout.split('\n');
});

const isAtLeast = (version: string, least: string): boolean =>
  version.localeCompare(least, 'en', { numeric: true }) >= 0;

test('what ships is listed with its version, and nothing else is', () => {
  const listed = rows('What ships').flatMap(([names = '', versions = '']) => {
    const [name, version] = [names.split(', '), versions.split(', ')];
    return name.map((each, index) => `${each} ${version[index]}`);
  });
  expect(listed.sort()).toEqual([...shipped].sort());
});

test('each direct dependency ships, or is told why not', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const names = shipped.map((line) => line.split(' ')[0]);
  const told = Object.keys(dependencies).filter((name) => !names.includes(name));
  expect(told).toEqual(['usocket']);
  expect(section('What is left out')).toContain('`usocket`');
});

test('what was once found in a package is mended in what ships, or the package does not ship', () => {
  const advisories = rows('Known advisories');
  expect(advisories.length).toBeGreaterThan(5);
  for (const [name, advisory, fixed = ''] of advisories) {
    const version = shipped.find((line) => line.startsWith(`${name} `))?.split(' ')[1];
    expect([advisory, version === undefined ? fixed === 'left out' : isAtLeast(version, fixed)]).toEqual([
      advisory,
      true,
    ]);
  }
});

test('what is left out is not in the program', () => {
  const gone = [
    'xml2js',
    'sax',
    'xmlbuilder',
    'event-stream',
    'map-stream',
    'through',
    'hexy',
    'usocket',
    'fast-uri',
    'jsbi',
    'safe-buffer',
  ];
  expect(shipped.filter((line) => gone.includes(line.split(' ')[0] ?? ''))).toEqual([]);
});

test('nothing runs when a dependency is installed', () => {
  expect(readFileSync('.npmrc', 'utf8')).toMatch(/^ignore-scripts=true$/m);
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const ships = Object.entries<{ dev?: boolean; optional?: boolean; hasInstallScript?: boolean }>(packages);
  expect(ships.length).toBeGreaterThan(50);
  // Tools may have some, which npm then leaves out; what ships has none to leave out.
  expect(ships.filter(([, one]) => one.dev !== true && one.hasInstallScript === true).map(([path]) => path)).toEqual(
    [],
  );
});
