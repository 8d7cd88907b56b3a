/** What one load has gathered so far. */
import { resolve } from 'node:path';
import type { LxcConfig, LxcFiles, LxcProblem, LxcSetting, Place } from './config.ts';
import { finishNic, type NicDraft } from './nic-draft.ts';
import type { Complaint } from './nic-key.ts';
import type { Entry } from './split-lines.ts';

/** A file of garbage has a problem a line, and a line of garbage fills a message. */
const MAX_PROBLEMS = 1000;
const MAX_MESSAGE = 500;

export interface LoadState {
  readonly disk: LxcFiles;
  readonly split: (text: string) => readonly Entry[];
  /** Absolute; relative includes start here. */
  readonly workingDirectory: string;
  readonly nics: Map<number, NicDraft>;
  /** The indexes that `lxc.network.type` lines were given, in their order. */
  readonly legacyNics: number[];
  readonly files: Set<string>;
  /** The files being read at the moment, outermost first. */
  readonly open: string[];
  readonly problems: LxcProblem[];
  groups: string[];
  settings: LxcSetting[];
  utsName: string | undefined;
  loadable: boolean;
  readable: boolean;
  includes: number;
  /** Read so far. */
  characters: number;
  /** Which of the keys that exclude others hold a value. */
  readonly claims: Set<string>;
}

export function newState(disk: LxcFiles, workingDirectory: string, split: LoadState['split']): LoadState {
  return {
    disk,
    split,
    workingDirectory: resolve(workingDirectory),
    nics: new Map(),
    legacyNics: [],
    files: new Set(),
    open: [],
    problems: [],
    groups: [],
    settings: [],
    utsName: undefined,
    loadable: true,
    readable: true,
    includes: 0,
    characters: 0,
    claims: new Set(),
  };
}

/** Notes what LXC would say; an error ends LXC's load, but not ours, so that all errors are told at once. */
export function complain(state: LoadState, place: Place, column: number, complaint: Complaint | undefined): void {
  if (complaint === undefined) return;
  if (complaint.severity === 'error') state.loadable = false;
  const { severity } = complaint;
  const message = shorten(complaint.message);
  if (state.problems.length < MAX_PROBLEMS) state.problems.push({ ...place, column, message, severity });
}

const shorten = (message: string): string =>
  message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)}…`;

export function finishState(state: LoadState, file: string): LxcConfig {
  const nics = [...state.nics.values()].sort((a, b) => a.index - b.index);
  return {
    file,
    ...(state.utsName === undefined ? {} : { utsName: state.utsName }),
    groups: state.groups,
    nics: nics.map(finishNic),
    ...(state.settings.length === 0 ? {} : { settings: state.settings }),
    files: [...state.files],
    problems: state.problems,
    loadable: state.loadable,
    readable: state.readable,
  };
}
