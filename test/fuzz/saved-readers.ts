/** Readers of what routewall itself wrote: its state, its journal, and what its daemon answers. */

import { parseRequest } from '../../controller/control/requests.ts';
import type { Placed } from '../../controller/json-shape.ts';
import { parseJson } from '../../controller/json-shape.ts';
import { parsePanic } from '../../controller/panic/panic-state.ts';
import { parseJournal } from '../../controller/revisions/journal.ts';
import { parseRevision } from '../../controller/revisions/revision.ts';
import { parseRevisionView } from '../../controller/revisions/revision-view.ts';
import { parseMemento } from '../../controller/state/memento.ts';
import { parseStatus } from '../../controller/status/parse-status.ts';
import {
  parseAnswers,
  parseCheck,
  parseComparison,
  parseListed,
  parsePreview,
} from '../../controller/status/told-answers.ts';
import { FILE, type Reader } from './reader.ts';
import { savedTexts } from './saved-texts.ts';

const json = (name: string, corpus: readonly string[], parse: (of: Placed) => unknown): Reader => ({
  name,
  corpus,
  read: (text) => parse(parseJson(text)),
  longest: FILE,
});

export const savedReaders: readonly Reader[] = [
  json('the status file', savedTexts.status, parseStatus),
  json('the journal', savedTexts.journal, parseJournal),
  json('a revision', savedTexts.revision, parseRevision),
  json('who is sealed', savedTexts.panic, parsePanic),
  { name: 'a last good policy', corpus: savedTexts.lastGood, read: parseMemento, longest: FILE },
  json('an order', savedTexts.order, parseRequest),
  json("the daemon's answer to an order", savedTexts.ordered, parseRevisionView),
  json("the daemon's preview", savedTexts.preview, parsePreview),
  json("the daemon's comparison", savedTexts.comparison, parseComparison),
  json("the daemon's list", savedTexts.listed, parseListed),
  json("the daemon's check", savedTexts.check, parseCheck),
  json("the daemon's explanation", savedTexts.answers, parseAnswers),
];
