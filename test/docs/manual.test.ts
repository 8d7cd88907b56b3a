/** What routewall(8) says of the journal and of files is what the program does. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BACKEND_MEMORY } from '../../controller/apply/backend-memory.ts';
import { socketPath } from '../../controller/control/socket-path.ts';
import { MESSAGE_IDS } from '../../controller/log-event.ts';
import { FORMAT_NAMES } from '../../controller/state/boot-format.ts';

const page = readFileSync('packaging/manual/routewall.txt', 'utf8');
const section = (title: string): string => page.split(/^# /m).find((part) => part.startsWith(`${title}\n`)) ?? '';

test('JOURNAL has every event with its message id, and no other', () => {
  const events = [...section('JOURNAL').matchAll(/^\* ([a-z]+) :: .* `([0-9a-f]{32})`$/gm)];
  expect(Object.fromEntries(events.map(([, event = '', id]) => [event, id]))).toEqual(MESSAGE_IDS);
});

test.each([
  socketPath('/run/routewall'),
  ...FORMAT_NAMES.map((name) => `/var/lib/routewall/${name}`),
  `/var/lib/routewall/${BACKEND_MEMORY}`,
])('FILES has %s', (path) => {
  expect(section('FILES')).toMatch(new RegExp(`^\\* (?:\\S+, )*${path.replaceAll('.', '\\.')}(?:, \\S+)* :: `, 'm'));
});
