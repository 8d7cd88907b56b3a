/** What a resident tool says about one text, of which no more is held than an answer needs, whatever it prints. */

/** As much of the beginning as is told; refusals of 40,000 lines. */
const KEPT = 4 * 1024 * 1024;
/** More than any complaint about a word is long, its own lines included. */
const COMPLAINT = 4096;
/** No tool has as much to say about a text. */
const MOST = 64 * 1024 * 1024;

/** What the tool said, to the end of its complaint. */
export interface Answer {
  /** What it printed about the text; empty: all of it was taken. */
  readonly output: string;
  /** There was more than `output` holds. */
  readonly isCut: boolean;
  /** The complaint about the word, for what it tells of the place. */
  readonly complaint: RegExpExecArray;
}

export interface AnswerText {
  /** @returns the answer, once it is there. @throws Error when it will never be. */
  add(text: string): Answer | undefined;
  /** What was said so far. */
  readonly output: string;
}

/**
 * Each piece of output is looked at once: only where the word stands is there a complaint to look for, and around it
 * nothing long. A pattern tried on all that has come would take seconds for each piece of a megabyte of garbage.
 */
export function openAnswerText(word: string, complaintAbout: RegExp): AnswerText {
  let kept = '';
  /** The end of what came, in which the complaint may have begun; `passed` letters came before it. */
  let end = '';
  let passed = 0;
  return {
    add: (text) => {
      kept += text.slice(0, KEPT - kept.length);
      end += text;
      const at = end.lastIndexOf(word);
      const from = Math.max(0, at - COMPLAINT);
      const complaint = at < 0 ? null : complaintAbout.exec(end.slice(from, at + COMPLAINT));
      if (complaint !== null) {
        const length = passed + from + complaint.index;
        return { output: kept.slice(0, length).trim(), isCut: length > kept.length, complaint };
      }
      const gone = Math.max(0, end.length - 2 * COMPLAINT);
      end = end.slice(gone);
      passed += gone;
      if (passed > MOST) throw new Error(`more than ${MOST / 1024 / 1024} MiB of output`);
      return undefined;
    },
    get output() {
      return kept.trim();
    },
  };
}
