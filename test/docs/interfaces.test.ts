/** docs/interfaces.md names every member of the D-Bus interface, every key of status.json and every command, and no other. */
import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { BUS_NAME, INTERFACE, METHODS, OBJECT_PATH, PROPERTIES, SIGNALS } from '../../controller/dbus/interface.ts';
import { createCliBed } from '../controller/cli/cli-bed.ts';

const page = readFileSync('docs/interfaces.md', 'utf8');
const bed = createCliBed();
afterAll(() => bed.remove());

/** The rows of the table below a heading, by what stands in their first cell, which may be several. */
function rowsBelow(heading: string): Map<string, readonly string[]> {
  const part = page.split(/^#+ /m).find((each) => each.startsWith(`${heading}\n`)) ?? '';
  // Until the first blank line behind it.
  const [table = ''] = part.slice(part.indexOf('\n| ')).trimStart().split('\n\n');
  return new Map(
    table
      .split('\n')
      .slice(2)
      .flatMap((row) => {
        const [first = '', ...cells] = row
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim());
        return [...first.matchAll(/`(\w+)`/g)].map(([, name = '']): [string, readonly string[]] => [name, cells]);
      }),
  );
}

const argumentsText = (args: readonly { readonly name: string; readonly type: string }[]): string =>
  args.map(({ name, type }) => `\`${name}\` (\`${type}\`)`).join(', ');

test('the bus name, the object and the interface', () => {
  expect(page).toContain(`| bus name | \`${BUS_NAME}\` |`);
  expect(page).toContain(`| object | \`${OBJECT_PATH}\` |`);
  expect(page).toContain(`| interface | \`${INTERFACE}\` |`);
});

test('every method, with what it takes and who may call it', () => {
  const shown = [...rowsBelow('Methods')].map(([name, [takes, who]]) => [name, takes, who]);
  const known = Object.entries(METHODS).map(([name, { in: args, changes }]) => [
    name,
    argumentsText(args),
    changes ? 'root' : 'group',
  ]);
  expect(shown).toEqual(known);
});

test('every signal, with what it tells', () => {
  const shown = [...rowsBelow('Signals')].map(([name, [tells]]) => [name, tells]);
  expect(shown).toEqual(Object.entries(SIGNALS).map(([name, args]) => [name, argumentsText(args)]));
});

test('every property, with its type', () => {
  const shown = [...rowsBelow('Properties')].map(([name, [type]]) => [name, type]);
  expect(shown).toEqual(Object.entries(PROPERTIES).map(([name, { type }]) => [name, `\`${type}\``]));
});

test('every error of our own', () => {
  const source = ['methods', 'dispatch'].map((file) => readFileSync(`controller/dbus/${file}.ts`, 'utf8')).join('');
  const known = [...source.matchAll(/\berror\('(\w+)'|org\.routewall\.Error\.(\w+)/g)].map(([, a, b]) => a ?? b);
  const shown = [...page.matchAll(/^\| `org\.routewall\.Error\.(\w+)` \|/gm)].map(([, name]) => name);
  expect(shown.sort()).toEqual([...new Set(known)].sort());
});

test('every key of status.json', () => {
  const source = readFileSync('controller/status/status-shape.ts', 'utf8');
  const body = /^export interface StatusFile \{\n([\s\S]*?)^\}/m.exec(source)?.[1] ?? '';
  const known = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);
  expect(known).toContain('enforcedAt');
  expect([...rowsBelow('status.json').keys()]).toEqual(known);
});

test('every command', async () => {
  const { out } = await bed.cli('--help');
  const known = [...out.slice(out.indexOf('\nCommands:')).matchAll(/^ {2}([a-z]+)\b/gm)].map(([, name]) => name ?? '');
  const without = ['daemon', 'hook', 'help'];
  expect([...rowsBelow('Commands with --json').keys()].sort()).toEqual(
    known.filter((name) => !without.includes(name)).sort(),
  );
});
