/** `routewall history`: the revisions that are kept, as files. */
import { join } from 'node:path';
import { timeText } from '../../policies/moment.ts';
import { messageOf } from '../log.ts';
import { readJournal } from '../revisions/journal.ts';
import { describeFiles, type RevisionRecord } from '../revisions/revision.ts';
import { RevisionStore } from '../revisions/revision-store.ts';
import { realDisk } from '../state/durable-disk.ts';
import { EXIT } from './exit.ts';
import type { Colours } from './io.ts';
import type { Invocation } from './options.ts';

/** Newest first. */
export async function runHistory({ io, shared, colours }: Invocation): Promise<number> {
  const folder = join(shared.stateDirectory, 'revisions');
  const store = new RevisionStore(folder, realDisk);
  const records: RevisionRecord[] = [];
  for (const number of await store.numbers()) {
    try {
      records.unshift(await store.readRecord(number));
    } catch (cause) {
      io.err.write(`${messageOf(cause)}\n`);
    }
  }
  const journal = await readJournal(join(folder, 'journal.json')).catch((cause: unknown) => {
    io.err.write(`which one is in force can't be read: ${messageOf(cause)}\n`);
    return undefined;
  });
  const inForce = journal?.inForce ?? null;
  if (shared.json) {
    const shown = records.map((record) => ({ ...record, inForce: record.number === inForce }));
    io.out.write(`${JSON.stringify(shown, null, 2)}\n`);
  } else if (records.length === 0) io.err.write(`no revisions in ${folder} yet\n`);
  else io.out.write(records.map((record) => entry(record, record.number === inForce, colours)).join(''));
  return EXIT.fine;
}

function entry(record: RevisionRecord, isInForce: boolean, colours: Colours): string {
  const { number, at, flows } = record;
  const mark = isInForce ? colours.green('* ') : '  ';
  const when = timeText(at);
  const head = `${mark}${colours.bold(String(number))}  ${when}  ${HOW[record.how](record)}${confirmation(record)}`;
  const lines = [describeFiles(record.files), ...(flows ?? [])].map((line) => `     ${line.replace(/\p{Cc}/gu, '?')}`);
  return `${[head, ...lines].join('\n')}\n`;
}

/** Who edited a file isn't known. */
const HOW: Readonly<Record<RevisionRecord['how'], (record: RevisionRecord) => string>> = {
  first: () => 'first seen',
  edited: () => 'edited',
  apply: ({ by }) => `applied by ${by}`,
  rollback: ({ of, by }) => `rolled back to ${of} by ${by}`,
};

function confirmation({ confirmation: state }: RevisionRecord): string {
  switch (state) {
    case null:
      return '';
    case 'waiting':
      return ', waits for routewall confirm';
    case 'confirmed':
      return ', confirmed';
    case 'taken-back':
      return ', taken back';
  }
}
