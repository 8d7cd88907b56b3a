/** The doctor asks for the programs that the daemon starts, and for no others. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PROGRAMS } from '../../../controller/doctor/read-host-facts.ts';

const sources = ['controller', 'watchers']
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.startsWith('doctor/'))
      .map((path) => readFileSync(`${folder}/${path}`, 'utf8')),
  )
  .join('\n');

test.each(PROGRAMS)('$program is started by something', ({ program }) => {
  expect(sources).toContain(`'${program}'`);
});
