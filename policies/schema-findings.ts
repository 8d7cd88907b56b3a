/** The schema's complaints about a file as sentences with a place, one for each mistake. */
import type { ErrorObject } from 'ajv';
import { parseBitRate } from './bit-rate.ts';
import { parseMoment } from './moment.ts';
import { parsePeerWord } from './peer-words.ts';
import type { Path } from './places.ts';
import { parseLimit } from './rate-limit.ts';
import { closestWord } from './suggest.ts';
import { typeHint } from './type-hints.ts';
import { type Format, schemaErrors } from './validator.ts';

export interface SchemaFinding {
  readonly path: Path;
  readonly part: 'key' | 'value';
  readonly message: string;
}

const actions = ['allow', 'drop', 'reject', 'log'];

export function checkFormat(format: Format, data: unknown): SchemaFinding[] {
  const found = new Map<string, SchemaFinding>();
  const errors = schemaErrors(format, data);
  const mistyped = mistypedKeys(errors);
  for (const error of errors) {
    const finding = findingOf(error, mistyped);
    if (finding !== undefined) found.set(`${finding.path.join('\0')}\0${finding.message}`, finding);
  }
  return [...found.values()];
}

/** Where an unknown key looks like a known one, what that one's absence leads to is no second mistake. */
function mistypedKeys(errors: readonly ErrorObject[]): Map<string, Set<string>> {
  const mistyped = new Map<string, Set<string>>();
  for (const error of errors) {
    if (error.keyword !== 'additionalProperties') continue;
    const key = String(error.params['additionalProperty']);
    const meant = counterpart(key, knownKeys(error)) ?? closestWord(key, knownKeys(error));
    if (meant === undefined) continue;
    mistyped.set(error.instancePath, (mistyped.get(error.instancePath) ?? new Set()).add(meant));
  }
  return mistyped;
}

function findingOf(error: ErrorObject, mistyped: ReadonlyMap<string, ReadonlySet<string>>): SchemaFinding | undefined {
  const path = pathOf(error.instancePath);
  const meant = mistyped.get(error.instancePath) ?? new Set();
  if (isExpectationError(error, path)) return expectationFinding(path.slice(0, 2), error, meant);
  // The rule that a name broke comes besides the broken name itself.
  if (error.propertyName !== undefined) return undefined;
  if (isActionError(error)) return actionFinding(error, mistyped);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(error, path);
    case 'propertyNames':
      return { path: [...path, String(error.params['propertyName'])], part: 'key', message: badName(error) };
    case 'dependencies': {
      const key = String(error.params['property']);
      return {
        path: [...path, key],
        part: 'key',
        message: `"${key}" goes only beside "allow": what is refused needs no limit`,
      };
    }
    case 'required': {
      const key = String(error.params['missingProperty']);
      if (meant.has(key)) return undefined;
      if (path[0] === 'wires') return { path, part: 'value', message: `the wire has no "${key}": it needs two ends` };
      const message = `the rule has no "${key}": name its peers, such as ${key}: host or ${key}: any`;
      return { path, part: 'value', message };
    }
    default:
      return { path, part: 'value', message: valueMessage(error, path) };
  }
}

/** As with rules: whatever of "exactly one of these" fails is one mistake. */
const isExpectationError = ({ keyword, schemaPath }: ErrorObject, path: Path): boolean =>
  path[0] === 'expect' && (/^(if|not|required|false schema)$/.test(keyword) || /Refusal/.test(schemaPath));

function expectationFinding(
  path: Path,
  { data, keyword, schemaPath, params }: ErrorObject,
  meant: ReadonlySet<string>,
): SchemaFinding | undefined {
  if (keyword === 'false schema') {
    const message = 'the expectation has to and from: it needs exactly one of them';
    return schemaPath.includes('dependencies') ? { path, part: 'value', message } : undefined;
  }
  if (typeof data !== 'object' || data === null) return undefined;
  const missing = String(params['missingProperty']);
  if (keyword === 'required' && (missing === 'to' || missing === 'from')) {
    return meant.has(missing) ? undefined : { path, part: 'value', message: `the expectation has no "${missing}"` };
  }
  const keys = keyword === 'not' ? ['to', 'from'] : ['allow', 'drop', 'reject'];
  const given = keys.filter((key) => Object.hasOwn(data, key));
  if (given.length === 1 || keys.some((key) => meant.has(key))) return undefined;
  const message =
    given.length === 0
      ? `the expectation needs one of ${keys.join(', ')}`
      : `the expectation has ${given.join(' and ')}: it needs exactly one of them`;
  return { path, part: 'value', message };
}

/** The conditions that hold "exactly one action" fail in many ways, all of which are one mistake of the rule. */
const isActionError = ({ keyword, schemaPath }: ErrorObject): boolean =>
  keyword === 'if' || /\/(then|else)\/|oneOtherAction/.test(schemaPath);

function actionFinding(
  error: ErrorObject,
  mistyped: ReadonlyMap<string, ReadonlySet<string>>,
): SchemaFinding | undefined {
  // Only the outermost `if` of a rule carries the rule itself as its data.
  if (error.keyword !== 'if' || error.schemaPath.includes('oneOtherAction')) return undefined;
  const rule: unknown = error.data;
  const keys = typeof rule === 'object' && rule !== null ? Object.keys(rule) : [];
  const given = keys.filter((key) => actions.includes(key));
  const path = pathOf(error.instancePath);
  if (given.length === 0) {
    if (actions.some((action) => mistyped.get(error.instancePath)?.has(action))) return undefined;
    return { path, part: 'value', message: 'the rule does nothing: it needs one of allow, drop, reject and log' };
  }
  if (given.length === 1 && given[0] === 'log') {
    const message = '"log" alone needs services, such as log: ssh; with true it goes beside allow, drop or reject';
    return { path: [...path, 'log'], part: 'key', message };
  }
  const verdicts = given.filter((key) => key !== 'log');
  if (verdicts.length === 1) {
    const message = `"log" beside "${verdicts[0]}" is true or false; services to log need a rule of their own`;
    return { path: [...path, 'log'], part: 'value', message };
  }
  return { path, part: 'value', message: `the rule has ${given.join(' and ')}: it needs exactly one of them` };
}

function unknownKey(error: ErrorObject, parent: Path): SchemaFinding {
  const key = String(error.params['additionalProperty']);
  const path = [...parent, key];
  if (key === 'mode') return { path, part: 'key', message: misplacedMode(parent) };
  const known = knownKeys(error);
  const other = counterpart(key, known);
  if (other !== undefined) {
    const direction = other === 'to' ? 'egress' : 'ingress';
    return { path, part: 'key', message: `"${key}" has no place in ${direction}: its peers stand in "${other}"` };
  }
  const place = placeOfRules(key, known);
  if (place !== undefined) return { path, part: 'key', message: `"${key}" ${place}` };
  if (key === 'use') return { path, part: 'key', message: '"use" has no place in a profile: profiles don\'t nest' };
  const closest = closestWord(key, known);
  const list =
    known.includes('allow') && SERVICE_KEYS.test(key) ? SERVICES_STAND : `the keys here are ${known.join(', ')}`;
  const hint = closest === undefined ? list : `did you mean "${closest}"?`;
  return { path, part: 'key', message: `unknown key "${key}": ${hint}` };
}

const SERVICE_KEYS = /^(d?ports?|proto(col)?s?|services?)$/i;
const SERVICES_STAND = 'services stand behind the action, as in allow: tcp/22';

/** Where it belongs, of what stands a level too high; and whose services have keys of their own elsewhere. */
function placeOfRules(key: string, known: readonly string[]): string | undefined {
  const isAction = actions.includes(key);
  if (known.includes('egress')) {
    const directions = '"egress:" or "ingress:"';
    if (isAction) return `stands in a rule, below "rules:" of ${directions}`;
    return key === 'rules' || key === 'default' ? `stands below ${directions}` : undefined;
  }
  return isAction && known.includes('rules') ? 'stands in a rule, below "rules:"' : undefined;
}

function misplacedMode(parent: Path): string {
  const direction = parent.at(-1);
  const there = direction === 'egress' || direction === 'ingress' ? `: write mode: observe-${direction} there` : '';
  return `"mode" stands at the top of a container's policy${there}`;
}

function counterpart(key: string, known: readonly string[]): string | undefined {
  if (key === 'from' && known.includes('to')) return 'to';
  return key === 'to' && known.includes('from') ? 'from' : undefined;
}

function knownKeys({ parentSchema }: ErrorObject): string[] {
  const properties: unknown = parentSchema?.['properties'];
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

const badName = (error: ErrorObject): string =>
  `"${error.params['propertyName']}" can't be a service's name: use a-z, 0-9, "-", "_", "+" and ".", a letter first`;

function valueMessage(error: ErrorObject, path: Path): string {
  const subject = subjectOf(path);
  const { data } = error;
  switch (error.keyword) {
    case 'type':
      return typeMessage(error, path);
    case 'enum': {
      const allowed: string[] = error.params['allowedValues'];
      const closest = closestWord(String(data), allowed);
      const hint = closest === undefined ? '' : `: did you mean "${closest}"?`;
      return `${subject} is one of ${allowed.join(', ')}, not "${data}"${hint}`;
    }
    case 'minItems':
    case 'minLength':
      return `${subject} is empty: give at least one`;
    case 'pattern':
      return patternMessage(error, subject);
    case 'minimum':
    case 'maximum':
      return `${subject} ${error.message}`;
    default:
      return `${subject} ${error.message ?? 'is not valid'}`;
  }
}

function patternMessage({ parentSchema, data }: ErrorObject, subject: string): string {
  const title: unknown = parentSchema?.['title'];
  const mistake = typeof title === 'string' ? mistakes[title]?.(String(data)) : undefined;
  if (mistake !== undefined) return mistake;
  const examples: unknown = parentSchema?.['examples'];
  const example = Array.isArray(examples) ? `, such as ${JSON.stringify(examples.at(-1))}` : '';
  return `${subject} can't be "${data}": it must match ${parentSchema?.['pattern']}${example}`;
}

const peerMistake = (text: string): string | undefined => {
  const word = parsePeerWord(text);
  return word.kind === 'error' ? word.message : undefined;
};

/** By the schema's title: what the parser of such a text says of one that doesn't fit its pattern. */
const mistakes: Readonly<Record<string, (text: string) => string | undefined>> = {
  Peer: peerMistake,
  Peers: peerMistake,
  Limit: (text) => onlyText(parseLimit(text)),
  BitRate: (text) => onlyText(parseBitRate(text)),
  Until: (text) => onlyText(parseMoment(text)),
  ObserveUntil: (text) => onlyText(parseMoment(text)),
};

const onlyText = (parsed: unknown): string | undefined => (typeof parsed === 'string' ? parsed : undefined);

function typeMessage(error: ErrorObject, path: Path): string {
  const { data, params } = error;
  const types: string[] = [params['type']].flat();
  const subject = subjectOf(path);
  if (data === null)
    return path.length === 0 ? 'the file is empty' : `${subject} has no value: fill it in or remove it`;
  const isService = path.includes('rules') && path.some((step) => actions.includes(String(step)));
  const expected = types.map((type) => typeNames[type] ?? type).join(' or ');
  return `${subject} must be ${expected}, not ${nameOfType(data)}${typeHint({ data, types, path, isService })}`;
}

const typeNames: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  boolean: 'true or false',
  integer: 'a whole number',
};

function nameOfType(data: unknown): string {
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object') return 'a mapping';
  return typeof data === 'string' ? `"${data}"` : String(data);
}

/** The key that the value belongs to; an item is named after its list. */
function subjectOf(path: Path): string {
  const key = path.findLast((step) => typeof step === 'string' && !/^\d+$/.test(step));
  if (key === undefined) return path.length === 0 ? 'the file' : 'an item';
  return path.at(-1) === key ? `"${key}"` : `an item of "${key}"`;
}

const pathOf = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
