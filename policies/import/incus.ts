/** An Incus network ACL, as `incus network acl show` prints it, as a policy. */
import { formatRange, parseRange } from '../../render/address.ts';
import type { Direction } from '../../render/rule.ts';
import { parseYaml } from '../parse-yaml.ts';
import type { Path, Places } from '../places.ts';
import type { Finding } from '../source-text.ts';
import type { Imported, ImportedSection } from './imported.ts';
import { type ForeignRule, type Said, type SaidRule, sayRule } from './say-rule.ts';
import { isPorted, joinSaid, lost, said, sayIcmp, sayPorts, sayProtocol } from './say-service.ts';

/** Incus asks drops first, then rejects, then what allows, whatever the order of the list. */
const ORDER = ['drop', 'reject', 'allow', 'allow-stateless'] as const;
type IncusAction = (typeof ORDER)[number];

const TOP = ['name', 'description', 'project', 'config', 'used_by', 'egress', 'ingress'];
const KEYS = ['action', 'state', 'description', 'source', 'destination', 'protocol'];
const MORE_KEYS = ['source_port', 'destination_port', 'icmp_type', 'icmp_code'];

interface Context {
  readonly places: Places;
  readonly report: (finding: Finding) => void;
}

const NONE = new Map<string, never>();

/** Never throws. */
export function importIncus(text: string): Imported {
  const { data, places, findings: mistakes } = parseYaml(text, 'yaml');
  const findings: Finding[] = [...mistakes];
  const context: Context = { places, report: (finding) => findings.push(finding) };
  if (!isRecord(data)) {
    if (data !== undefined) findings.push({ line: 1, column: 1, message: 'no network ACL: expected a mapping' });
    return { policy: undefined, profiles: NONE, sets: NONE, findings };
  }
  for (const key of Object.keys(data)) {
    if (!TOP.includes(key)) context.report(warningAt(context, [key], `"${key}" is no part of a network ACL: left out`));
  }
  const egress = importSection('egress', data, context);
  const ingress = importSection('ingress', data, context);
  const sorted = findings.sort((a, b) => a.line - b.line);
  return { policy: { egress, ingress, interfaces: new Map() }, profiles: NONE, sets: NONE, findings: sorted };
}

/** What no rule matches, Incus rejects. */
function importSection(
  direction: Direction,
  data: Readonly<Record<string, unknown>>,
  context: Context,
): ImportedSection {
  const list = data[direction] ?? [];
  if (!Array.isArray(list)) {
    const message = `${direction} is no list of rules: nothing of it is allowed`;
    context.report({ ...context.places.placeOf([direction]), message });
  }
  const rules = (Array.isArray(list) ? list : []).map((rule: unknown, index) =>
    readRule(direction, rule, [direction, index], context),
  );
  const ordered = ORDER.flatMap((action) => rules.filter((rule) => rule.action === action));
  return { default: 'reject', log: false, rules: ordered.flatMap(({ rule }) => (rule === undefined ? [] : [rule])) };
}

interface ReadRule {
  readonly action: IncusAction;
  readonly rule: SaidRule | undefined;
}

function readRule(direction: Direction, value: unknown, path: Path, context: Context): ReadRule {
  const fields = isRecord(value) ? value : {};
  const field = (key: string): string => textOf(fields[key]);
  const action = ORDER.find((known) => known === field('action'));
  // Who wrote it may have meant a refusal.
  if (action === undefined) context.report(errorAt(context, path, `no action that Incus knows: taken for a drop`));
  if (action === 'allow-stateless')
    context.report(warningAt(context, path, 'allow-stateless is allow here: replies pass by themselves'));
  const rule: ForeignRule = {
    place: context.places.placeOf(path),
    direction,
    action: action === 'allow-stateless' ? 'allow' : (action ?? 'drop'),
    services: sayServices(field),
    peers: sayPeers(field(direction === 'egress' ? 'destination' : 'source')),
    unsaid: [...unsaid(direction, field), ...unknownKeys(fields)],
    log: field('state') === 'logged',
    enabled: field('state') !== 'disabled',
    comment: field('description') === '' ? undefined : field('description'),
  };
  return { action: action ?? 'drop', rule: sayRule(rule, context.report) };
}

type Field = (key: string) => string;

function* unsaid(direction: Direction, field: Field): Generator<string> {
  if (field('source_port') !== '') yield 'source ports';
  if (field(direction === 'egress' ? 'source' : 'destination') !== '') yield "the container's own address";
  if (!['', 'enabled', 'disabled', 'logged'].includes(field('state')))
    yield `the state ${JSON.stringify(field('state'))}`;
}

const unknownKeys = (fields: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(fields).flatMap((key) => ([...KEYS, ...MORE_KEYS].includes(key) ? [] : [`"${key}"`]));

function sayServices(field: Field): Said {
  const protocol = field('protocol').toLowerCase();
  const [ports, type, code] = [field('destination_port'), field('icmp_type'), field('icmp_code')];
  if (protocol === 'icmp4' || protocol === 'icmp6') {
    const icmp = code === '' ? type : `${type}/${code}`;
    return ports === '' ? sayIcmp(protocol === 'icmp4' ? 4 : 6, icmp) : lost('ports of ICMP', 'any');
  }
  if (type !== '' || code !== '') return lost(`ICMP types of ${protocol === '' ? 'any protocol' : protocol}`, 'any');
  if (isPorted(protocol)) return sayPorts(protocol, ports);
  if (ports !== '') return lost(`ports of ${protocol === '' ? 'any protocol' : protocol}`, 'any');
  return protocol === '' ? said('any') : sayProtocol(protocol);
}

function sayPeers(text: string): Said {
  if (text.trim() === '') return said('any');
  return joinSaid(text.split(',').map((part) => sayPeer(part.trim())));
}

function sayPeer(subject: string): Said {
  const range = parseRange(subject);
  if (range !== undefined) return said(formatRange(range));
  return lost(`the subject ${JSON.stringify(subject)}${hintFor(subject)}`, 'any');
}

/** Who is meant by these stands in Incus alone. */
function hintFor(subject: string): string {
  if (subject.startsWith('$')) return ' (write its addresses into a set, and name that)';
  if (subject === '@external') return ' (internet, or any, may be what is meant)';
  if (subject.startsWith('@')) return ' (name containers, groups or prefixes)';
  return ' (give the containers of that ACL an lxc.group, and name that)';
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Ports are often written without quotes. */
const textOf = (value: unknown): string =>
  typeof value === 'string' ? value.trim() : typeof value === 'number' ? String(value) : value == null ? '' : '?';

const errorAt = ({ places }: Context, path: Path, message: string): Finding => ({ ...places.placeOf(path), message });
const warningAt = (context: Context, path: Path, message: string): Finding => ({
  ...errorAt(context, path, message),
  severity: 'warning',
});
