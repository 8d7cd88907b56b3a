/** The daemon's answers on D-Bus, read back: what the command line prints in its own words. */
import type { Problem } from '../../policies/problem.ts';
import type { ChosenBackend } from '../apply/choose-backend.ts';
import { parseObserving } from '../denials/observing.ts';
import type { ToldChange } from '../explain/describe-changes.ts';
import type { NicKind } from '../host/containers.ts';
import { parseUnenforced } from '../host/unenforceable-nics.ts';
import { asBoolean, asList, asNumber, asOneOf, asText, fieldsOf, orNull, type Placed } from '../json-shape.ts';
import type { Change } from '../kernel/kernel-comparison.ts';
import { type PanicState, parsePanic } from '../panic/panic-state.ts';
import { POLICY_STATUSES } from '../pass/policy-status.ts';
import type { ListedContainer, ListedNic } from './list-containers.ts';
import { parseProblem } from './parse-status.ts';

const VERDICTS = ['allow', 'drop', 'reject'] as const;
const KINDS: readonly NicKind[] = ['routed', 'bridged', 'wired', 'unmanaged'];

const textsOf = (of: Placed): string[] => asList(of).map(asText);

/** @throws ShapeError, as all of these do. */
export const parseListed = (of: Placed): ListedContainer[] => asList(of).map(parseContainer);

function parseContainer(of: Placed): ListedContainer {
  const field = fieldsOf(of);
  const policy = fieldsOf(field('policy'));
  return {
    container: asText(field('container')),
    state: asText(field('state')),
    sealed: asBoolean(field('sealed')),
    groups: textsOf(field('groups')),
    policy: {
      file: orNull(policy('file'), asText),
      status: asOneOf(policy('status'), POLICY_STATUSES),
      observing: parseObserving(policy('observing')),
    },
    nics: asList(field('nics')).map(parseNic),
    ...parseUnenforced(field('unenforced')),
    problems: asList(field('problems')).map(parseProblem),
  };
}

function parseNic(of: Placed): ListedNic {
  const field = fieldsOf(of);
  return {
    index: asNumber(field('index')),
    name: asText(field('name')),
    type: orNull(field('type'), asText),
    kind: asOneOf(field('kind'), KINDS),
    link: orNull(field('link'), asText),
    hostVeth: orNull(field('hostVeth'), asText),
    addresses: textsOf(field('addresses')),
    routes: textsOf(field('routes')),
    gateways: textsOf(field('gateways')),
    ...(orNull(field('awaitsLease'), asBoolean) === true ? { awaitsLease: true } : {}),
    ...(orNull(field('translations'), textsOf) === null ? {} : { translations: textsOf(field('translations')) }),
  };
}

export interface ToldCheck {
  readonly problems: readonly Problem[];
  readonly policyFiles: number;
  readonly containers: number;
  /** Every container's name. */
  readonly known: readonly string[];
}

export function parseCheck(of: Placed): ToldCheck {
  const field = fieldsOf(of);
  return {
    problems: asList(field('problems')).map(parseProblem),
    policyFiles: asNumber(field('policyFiles')),
    containers: asNumber(field('containers')),
    known: textsOf(field('known')),
  };
}

/** Between the kernel and what it was compared with. */
export interface ToldDifference {
  readonly changed: boolean;
  readonly ruleset: string;
  readonly routes: Change;
  readonly neighbourProxies: Change;
  readonly gateways: Change;
}

export interface ToldComparison extends ToldDifference {
  readonly backend: ChosenBackend;
}

export interface ToldPreview extends ToldDifference {
  /** As `--json` prints them. */
  readonly flows: readonly unknown[];
  /** The same in words. */
  readonly words: readonly ToldChange[];
  readonly problems: readonly Problem[];
  readonly known: readonly string[];
  readonly panic: PanicState;
}

const BACKENDS: readonly ChosenBackend[] = ['nftables', 'iptables-nft', 'iptables-legacy'];

export const parseComparison = (of: Placed): ToldComparison => ({
  backend: asOneOf(fieldsOf(of)('backend'), BACKENDS),
  ...parseDifference(of),
});

function parseDifference(of: Placed): ToldDifference {
  const field = fieldsOf(of);
  const change = (key: string): Change => {
    const part = fieldsOf(field(key));
    return { add: textsOf(part('add')), remove: textsOf(part('remove')) };
  };
  return {
    changed: asBoolean(field('changed')),
    ruleset: asText(field('ruleset')),
    ...{ routes: change('routes'), neighbourProxies: change('neighbourProxies'), gateways: change('gateways') },
  };
}

export function parsePreview(of: Placed): ToldPreview {
  const field = fieldsOf(of);
  return {
    ...parseDifference(of),
    flows: asList(field('flows')).map(({ value }) => value),
    words: asList(field('words')).map(parseWords),
    problems: asList(field('problems')).map(parseProblem),
    known: textsOf(field('known')),
    panic: parsePanic(field('panic')),
  };
}

function parseWords(of: Placed): ToldChange {
  const field = fieldsOf(of);
  return { text: asText(field('text')), opens: asBoolean(field('opens')) };
}

export interface ToldStep {
  readonly at: string;
  readonly verdict: (typeof VERDICTS)[number] | 'log';
  readonly rule: { readonly file: string; readonly line: number; readonly whole: string } | null;
  readonly note?: string;
}

export interface ToldAnswer {
  readonly verdict: (typeof VERDICTS)[number];
  readonly from: string;
  readonly to: string;
  readonly service: string;
  readonly source: string | null;
  readonly destination: string | null;
  readonly steps: readonly ToldStep[];
  /** As `--json` prints it. */
  readonly json: unknown;
}

export interface ToldAnswers {
  readonly answers: readonly [ToldAnswer, ...ToldAnswer[]];
  /** Policy files that have errors, and are answered for by what they said before. */
  readonly lastGood: readonly string[];
}

export function parseAnswers(of: Placed): ToldAnswers {
  const field = fieldsOf(of);
  const [first, ...more] = asList(field('answers'));
  return {
    // An empty list is refused as what it is: no object.
    answers: [parseAnswer(first ?? field('answers')), ...more.map(parseAnswer)],
    lastGood: textsOf(field('lastGood')),
  };
}

export function parseAnswer(of: Placed): ToldAnswer {
  const field = fieldsOf(of);
  return {
    verdict: asOneOf(field('verdict'), VERDICTS),
    ...{ from: asText(field('from')), to: asText(field('to')), service: asText(field('service')) },
    source: orNull(field('source'), asText),
    destination: orNull(field('destination'), asText),
    steps: asList(field('steps')).map(parseStep),
    json: of.value,
  };
}

function parseStep(of: Placed): ToldStep {
  const field = fieldsOf(of);
  const note = orNull(field('note'), asText);
  return {
    at: asText(field('at')),
    verdict: asOneOf(field('verdict'), [...VERDICTS, 'log'] as const),
    rule: orNull(field('rule'), parseRule),
    ...(note === null ? {} : { note }),
  };
}

function parseRule(of: Placed): { file: string; line: number; whole: string } {
  const field = fieldsOf(of);
  return { file: asText(field('file')), line: asNumber(field('line')), whole: asText(field('whole')) };
}
