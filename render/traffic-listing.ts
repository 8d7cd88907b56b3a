/** Reads what `tc -j` lists. */
import { type InterfaceName, isLimiterName, parseInterfaceName } from './names.ts';
import { burstOf, LATENCY, MARK, type ObservedDevice } from './traffic.ts';

type Fields = Readonly<Record<string, unknown>>;
type Root = ObservedDevice['root'];
type Ingress = ObservedDevice['ingress'];

/** `tc -j qdisc show`: by interface. What is to be read of filters is told by the qdisc. */
export function parseQdiscs(json: unknown): Map<InterfaceName, ObservedDevice> {
  const devices = new Map<InterfaceName, ObservedDevice>();
  for (const fields of records(json)) {
    const dev = parseInterfaceName(text(fields['dev']));
    if (dev === undefined) continue;
    const before = devices.get(dev) ?? { root: NO_ROOT, ingress: NO_INGRESS };
    const kind = text(fields['kind']);
    if (kind === 'ingress' || kind === 'clsact') {
      devices.set(dev, { ...before, ingress: { ...NO_INGRESS, qdisc: kind } });
    } else devices.set(dev, fields['root'] === true ? { ...before, root: parseRoot(kind, fields, dev) } : before);
  }
  return devices;
}

const NO_ROOT: Root = { kind: 'none' };
const NO_INGRESS: Ingress = { qdisc: 'none', ours: [], foreign: 0 };

/** The kernel's own default has the handle 0. An ifb of ours is ours whole. */
function parseRoot(kind: string, fields: Fields, dev: string): Root {
  const handle = text(fields['handle']);
  if (handle === '0:') return NO_ROOT;
  if (kind !== 'tbf' || handle !== `${MARK}:`) {
    return isLimiterName(dev) ? NO_ROOT : { kind: 'foreign', text: `${kind} ${handle}` };
  }
  const [options = {}] = records([fields['options']]);
  const rate = 8 * number(options['rate'], 0);
  return {
    kind: 'ours',
    rate,
    isWhole: isAbout(options['burst'], burstOf(rate)) && isAbout(options['lat'], LATENCY * 1000),
  };
}

/** The kernel counts both in ticks, and tc calculates back. What a tc of another release doesn't tell is as it should be. */
const isAbout = (value: unknown, wanted: number): boolean =>
  Math.abs(number(value, wanted) - wanted) <= wanted / 20 + 16;

/** `tc -j filter show dev DEV ingress`: besides the filters it lists the chain and the hash table that they stand in. */
export function parseFilters(json: unknown): Pick<Ingress, 'ours' | 'foreign'> {
  const ours: string[] = [];
  let foreign = 0;
  for (const fields of records(json)) {
    const [options] = records([fields['options']]);
    const isOurs = text(fields['kind']) === 'u32' && String(fields['pref']) === MARK;
    if (!isOurs) foreign += options === undefined ? 0 : 1;
    else if (options !== undefined && 'match' in options) ours.push(targetOf(options));
  }
  return { ours, foreign };
}

/** Anything but our own words leads nowhere. */
function targetOf(options: Fields): string {
  const actions = records(options['actions']);
  const [action = {}] = actions;
  const [match = {}] = records([options['match']]);
  const isWhole =
    actions.length === 1 &&
    text(action['mirred_action']) === 'redirect' &&
    text(action['direction']) === 'egress' &&
    text(match['mask']) === '0';
  return isWhole ? text(action['to_dev']) : '';
}

const records = (json: unknown): Fields[] =>
  Array.isArray(json) ? json.filter((entry): entry is Fields => typeof entry === 'object' && entry !== null) : [];

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown, otherwise: number): number => (typeof value === 'number' ? value : otherwise);
