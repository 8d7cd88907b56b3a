/** What the daemon says of itself in `status.json`, for `routewall status` and for other programs. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Problem } from '../../policies/problem.ts';
import type { PolicyStatus } from '../choose-policies.ts';
import { type Observing, parseObserving } from '../denials/observing.ts';
import { parseUnenforced, type Unenforced } from '../host/unenforceable-nics.ts';
import {
  asBoolean,
  asList,
  asNumber,
  asObject,
  asOneOf,
  asText,
  at,
  entriesOf,
  orNull,
  type Placed,
  parseJson,
} from '../json-shape.ts';
import { NO_PANIC, type PanicView, parsePanic, viewPanic } from '../panic/panic-state.ts';
import type { UnreadReading } from '../patience.ts';
import type { RevisionView } from '../revisions/revisions.ts';
import { parseWires, type WireStatus } from '../traffic/describe-wires.ts';
import { jsonPieces } from './json-pieces.ts';
import { parseUnread } from './unread-readings.ts';

/** Times are ISO 8601 in UTC. */
export interface StatusFile {
  readonly pid: number;
  /** When the process started, in clock ticks since boot: tells it from a later one with the same pid. */
  readonly started: number;
  /** Since when the daemon serves. */
  readonly since: string;
  /** When a pass last ended with the kernel in the desired state; `null` before the first. */
  readonly enforcedAt: string | null;
  /** nft's, after that pass, where known. */
  readonly generation: number | null;
  /** Which texts of the policy files are in force, and which wait. */
  readonly revision: RevisionView;
  /** Which containers are sealed. */
  readonly panic: PanicView;
  readonly containers: readonly ContainerStatus[];
  /** What was set for containers. */
  readonly sysctls: readonly SysctlStatus[];
  /** What belongs to no container. */
  readonly problems: readonly Problem[];
  /** What others changed and the daemon put back. */
  readonly drift: { readonly count: number; readonly last: string | null };
  readonly watchers: Readonly<Record<string, string>>;
  /** What the daemon goes on without; absent where it reads all that it asks for. */
  readonly unread?: readonly UnreadReading[];
  /** Absolute: whose questions the daemon can answer. */
  readonly serves: Serves;
  /** Names that policies mean by `dns:`. */
  readonly names: readonly NameStatus[];
  /** Of routewall.yaml; absent where there are none. */
  readonly wires?: readonly WireStatus[];
}

export interface Serves {
  readonly config: string;
  readonly policies: string;
  readonly lxcPaths: readonly string[];
}

export interface NameStatus {
  readonly name: string;
  /** Those that rules match. */
  readonly addresses: readonly string[];
  /** Answers that don't count, each with the reason. */
  readonly ignored: readonly string[];
  /** When a server last answered, and when it is asked again; `null` where it never did. */
  readonly answered: string | null;
  readonly next: string | null;
  /** What came of the last question, if no answer. */
  readonly error: string | null;
}

export interface ContainerStatus extends Unenforced {
  readonly container: string;
  /** As lxc-info says it. */
  readonly state: string;
  readonly policy: {
    readonly file: string | null;
    readonly status: PolicyStatus;
    readonly observing: Observing | null;
  };
  /** Since when what is in force for it is in force; `null` where nothing is. */
  readonly since: string | null;
  readonly problems: readonly Problem[];
  /** Those that are enforced. */
  readonly nics: readonly NicStatus[];
  /** It has no NIC that a policy could be for, running or not; absent otherwise. */
  readonly ours?: false;
  /** The next one first. */
  readonly ends: readonly EndStatus[];
  /** Why its rules, or one of its routes, are not in force; where they were refused, what it had before stays; what the backend can't say gets nothing. */
  readonly refused: string | null;
}

/** A rule that ends by itself: its place, and when. */
export interface EndStatus {
  readonly file: string;
  readonly line: number;
  readonly until: string;
}

export interface NicStatus {
  readonly nic: string;
  readonly hostVeth: string;
  readonly addresses: readonly string[];
}

export interface SysctlStatus {
  readonly key: string;
  readonly value: string;
  readonly reason: string;
}

const NAME = 'status.json';
const STATUSES: readonly PolicyStatus[] = ['ok', 'last-good', 'closed', 'open'];

/** Renamed into place: a reader sees the old one or the new one, whole. */
export async function writeStatusFile(directory: string, status: StatusFile): Promise<void> {
  const temporary = join(directory, `.${NAME}.new`);
  await writeFile(temporary, await jsonPieces(status), { mode: 0o644 });
  await rename(temporary, join(directory, NAME));
}

/** `undefined` where there is none. @throws ShapeError for one that is no status file, Error for one that can't be read. */
export const readStatusFile = (directory: string): Promise<StatusFile | undefined> => readAs(directory, parseStatus);

/** Who wrote it, whatever the rest of it says. */
export type Server = Pick<StatusFile, 'pid' | 'started' | 'serves'>;

/** As readStatusFile, without a look at each of thousands of containers. */
export const readServer = (directory: string): Promise<Server | undefined> => readAs(directory, parseServer);

async function readAs<T>(directory: string, parse: (top: Placed) => T): Promise<T | undefined> {
  const file = join(directory, NAME);
  const text = await readIfThere(file);
  if (text === undefined) return undefined;
  try {
    return parse(parseJson(text));
  } catch (cause) {
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw cause;
  }
}

/** In clock ticks since boot; `undefined` where there is no such process. */
export async function readProcessStart(pid: number): Promise<number | undefined> {
  const text = await readIfThere(`/proc/${pid}/stat`).catch((cause: unknown) => {
    // A process that ends while its file is open.
    if (cause instanceof Error && 'code' in cause && cause.code === 'ESRCH') return undefined;
    throw cause;
  });
  // The command's name stands in parentheses and may hold blanks and parentheses itself; the 22nd field is wanted.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields === undefined ? undefined : Number(fields[19]);
}

/** @throws ShapeError */
export function parseStatus(top: Placed): StatusFile {
  const object = asObject(top);
  const field = (key: string): Placed => at(object, key, '');
  const drift = asObject(field('drift'));
  const { pid, started, serves } = parseServer(top);
  return {
    ...{ pid, started },
    since: asText(field('since')),
    enforcedAt: orNull(field('enforcedAt'), asText),
    generation: orNull(field('generation'), asNumber),
    revision: parseRevisionView(field('revision')),
    // A daemon of an earlier release doesn't tell.
    panic: viewPanic(orNull(field('panic'), parsePanic) ?? NO_PANIC),
    containers: asList(field('containers')).map(parseContainer),
    sysctls: asList(field('sysctls')).map(parseSysctl),
    problems: asList(field('problems')).map(parseProblem),
    drift: { count: asNumber(at(drift, 'count', 'drift')), last: orNull(at(drift, 'last', 'drift'), asText) },
    watchers: Object.fromEntries(entriesOf(field('watchers')).map(([key, value]) => [key, asText(value)])),
    serves,
    names: asList(field('names')).map(parseName),
    ...parseUnread(field('unread')),
    ...parseWires(field('wires')),
  };
}

function parseServer(top: Placed): Server {
  const object = asObject(top);
  const field = (key: string): Placed => at(object, key, '');
  return { pid: asNumber(field('pid')), started: asNumber(field('started')), serves: parseServes(field('serves')) };
}

function parseServes(of: Placed): Serves {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  return {
    config: asText(field('config')),
    policies: asText(field('policies')),
    lxcPaths: asList(field('lxcPaths')).map(asText),
  };
}

function parseContainer(of: Placed): ContainerStatus {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  const policy = asObject(field('policy'));
  return {
    container: asText(field('container')),
    state: asText(field('state')),
    policy: {
      file: orNull(at(policy, 'file', of.path), asText),
      status: asOneOf(at(policy, 'status', of.path), STATUSES),
      observing: parseObserving(at(policy, 'observing', of.path)),
    },
    since: orNull(field('since'), asText),
    problems: asList(field('problems')).map(parseProblem),
    nics: asList(field('nics')).map(parseNic),
    ...(orNull(field('ours'), asBoolean) === false ? { ours: false } : {}),
    ...parseUnenforced(field('unenforced')),
    // A daemon of an earlier release doesn't tell.
    ends: orNull(field('ends'), asList)?.map(parseEnd) ?? [],
    refused: orNull(field('refused'), asText),
  };
}

function parseEnd(of: Placed): EndStatus {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  return { file: asText(field('file')), line: asNumber(field('line')), until: asText(field('until')) };
}

function parseNic(of: Placed): NicStatus {
  const object = asObject(of);
  return {
    nic: asText(at(object, 'nic', of.path)),
    hostVeth: asText(at(object, 'hostVeth', of.path)),
    addresses: asList(at(object, 'addresses', of.path)).map(asText),
  };
}

function parseName(of: Placed): NameStatus {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  return {
    name: asText(field('name')),
    addresses: asList(field('addresses')).map(asText),
    ignored: asList(field('ignored')).map(asText),
    answered: orNull(field('answered'), asText),
    next: orNull(field('next'), asText),
    error: orNull(field('error'), asText),
  };
}

function parseSysctl(of: Placed): SysctlStatus {
  const object = asObject(of);
  const field = (key: string): string => asText(at(object, key, of.path));
  return { key: field('key'), value: field('value'), reason: field('reason') };
}

/** @throws ShapeError */
export function parseProblem(of: Placed): Problem {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  return {
    file: asText(field('file')),
    line: asNumber(field('line')),
    column: asNumber(field('column')),
    message: asText(field('message')),
    severity: asOneOf(field('severity'), ['error', 'warning'] as const),
  };
}

/** @throws ShapeError */
export function parseRevisionView(of: Placed): RevisionView {
  const object = asObject(of);
  const field = (key: string): Placed => at(object, key, of.path);
  return {
    inForce: orNull(field('inForce'), asNumber),
    autoApply: asBoolean(field('autoApply')),
    unconfirmed: orNull(field('unconfirmed'), (placed) => {
      const entry = asObject(placed);
      const inside = (key: string): Placed => at(entry, key, placed.path);
      return {
        revision: asNumber(inside('revision')),
        previous: asNumber(inside('previous')),
        until: asText(inside('until')),
      };
    }),
    waiting: asList(field('waiting')).map(asText),
    reason: orNull(field('reason'), (placed) => asOneOf(placed, ['apply', 'confirm', 'refused', 'missing'] as const)),
  };
}
