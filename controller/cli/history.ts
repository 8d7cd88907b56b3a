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
import { parseRevisionNumber } from './order.ts';
import { colourDiff } from './preview.ts';
import { readRevisionDiff } from './revision-diff.ts';

/** Newest first; or one with its diff. */
export async function runHistory(invocation: Invocation, number: string | undefined): Promise<number> {
  const { io, shared, colours } = invocation;
  const folder = join(shared.stateDirectory, 'revisions');
  const store = new RevisionStore(folder, realDisk);
  if (number !== undefined) return await showOne(invocation, store, parseRevisionNumber(number));
  const records: RevisionRecord[] = [];
  for (const number of await store.numbers()) {
    try {
      records.unshift(await store.readRecord(number));
    } catch (cause) {
      io.err.write(`${messageOf(cause)}\n`);
    }
  }
  const inForce = await readInForce(invocation);
  if (shared.json) {
    const shown = records.map((record) => ({ ...record, inForce: record.number === inForce }));
    io.out.write(`${JSON.stringify(shown, null, 2)}\n`);
  } else if (records.length === 0) io.err.write(`no revisions in ${folder} yet\n`);
  else io.out.write(records.map((record) => entry(record, record.number === inForce, colours)).join(''));
  return EXIT.fine;
}

async function showOne(invocation: Invocation, store: RevisionStore, number: number): Promise<number> {
  const { io, shared, colours } = invocation;
  const { record, against, diff } = await readRevisionDiff(store, number);
  const inForce = record.number === (await readInForce(invocation));
  if (shared.json) io.out.write(`${JSON.stringify({ ...record, inForce, against, diff }, null, 2)}\n`);
  else io.out.write(`${entry(record, inForce, colours)}${colourDiff(diff, colours)}`);
  return EXIT.fine;
}

async function readInForce({ io, shared }: Invocation): Promise<number | null> {
  const file = join(shared.stateDirectory, 'revisions', 'journal.json');
  const journal = await readJournal(file).catch((cause: unknown) => {
    io.err.write(`which one is in force can't be read: ${messageOf(cause)}\n`);
    return undefined;
  });
  return journal?.inForce ?? null;
}

function entry(record: RevisionRecord, isInForce: boolean, colours: Colours): string {
  const { number, at, flows, broken } = record;
  const mark = isInForce ? colours.green('* ') : '  ';
  const when = timeText(at);
  const errors =
    broken === null || broken.length === 0 ? '' : colours.red(`, with errors in ${plain(listText(broken))}`);
  const head = `${mark}${colours.bold(String(number))}  ${when}  ${HOW[record.how](record)}${confirmation(record)}${errors}`;
  const lines = [describeFiles(record.files), ...(flows ?? [])].map((line) => `     ${plain(line)}`);
  return `${[head, ...lines].join('\n')}\n`;
}

const plain = (text: string): string => text.replace(/\p{Cc}/gu, '?');

const listText = (files: readonly string[]): string => (files.length > 5 ? `${files.length} files` : files.join(', '));

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
