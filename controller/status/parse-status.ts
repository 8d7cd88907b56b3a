/** Reads what the daemon says of itself, out of `status.json` or of its answer on the bus. */
import type { Problem } from '../../policies/problem.ts';
import { parseObserving } from '../denials/observing.ts';
import { parseUnenforced } from '../host/unenforceable-nics.ts';
import {
  asBoolean,
  asList,
  asNumber,
  asOneOf,
  asText,
  entriesOf,
  fieldsOf,
  orNull,
  type Placed,
} from '../json-shape.ts';
import { NO_PANIC, parsePanic, viewPanic } from '../panic/panic-state.ts';
import { POLICY_STATUSES } from '../pass/policy-status.ts';
import { parseRevisionView } from '../revisions/revision-view.ts';
import { parseWires } from '../traffic/describe-wires.ts';
import type {
  ContainerStatus,
  EndStatus,
  NameStatus,
  NicStatus,
  Server,
  Serves,
  StatusFile,
  SysctlStatus,
} from './status-shape.ts';
import { parseUnread } from './unread-readings.ts';

/** @throws ShapeError */
export function parseStatus(top: Placed): StatusFile {
  const field = fieldsOf(top);
  const drift = fieldsOf(field('drift'));
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
    drift: { count: asNumber(drift('count')), last: orNull(drift('last'), asText) },
    watchers: Object.fromEntries(entriesOf(field('watchers')).map(([key, value]) => [key, asText(value)])),
    serves,
    names: asList(field('names')).map(parseName),
    ...parseUnread(field('unread')),
    ...parseWires(field('wires')),
  };
}

/** @throws ShapeError */
export function parseServer(top: Placed): Server {
  const field = fieldsOf(top);
  return { pid: asNumber(field('pid')), started: asNumber(field('started')), serves: parseServes(field('serves')) };
}

function parseServes(of: Placed): Serves {
  const field = fieldsOf(of);
  return {
    config: asText(field('config')),
    policies: asText(field('policies')),
    lxcPaths: asList(field('lxcPaths')).map(asText),
  };
}

function parseContainer(of: Placed): ContainerStatus {
  const field = fieldsOf(of);
  const policy = fieldsOf(field('policy'));
  return {
    container: asText(field('container')),
    state: asText(field('state')),
    policy: {
      file: orNull(policy('file'), asText),
      status: asOneOf(policy('status'), POLICY_STATUSES),
      observing: parseObserving(policy('observing')),
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
  const field = fieldsOf(of);
  return { file: asText(field('file')), line: asNumber(field('line')), until: asText(field('until')) };
}

function parseNic(of: Placed): NicStatus {
  const field = fieldsOf(of);
  return {
    nic: asText(field('nic')),
    hostVeth: asText(field('hostVeth')),
    addresses: asList(field('addresses')).map(asText),
  };
}

function parseName(of: Placed): NameStatus {
  const field = fieldsOf(of);
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
  const field = fieldsOf(of);
  return { key: asText(field('key')), value: asText(field('value')), reason: asText(field('reason')) };
}

/** @throws ShapeError */
export function parseProblem(of: Placed): Problem {
  const field = fieldsOf(of);
  return {
    file: asText(field('file')),
    line: asNumber(field('line')),
    column: asNumber(field('column')),
    message: asText(field('message')),
    severity: asOneOf(field('severity'), ['error', 'warning'] as const),
  };
}
