/** Applies one line of a configuration, `lxc.include` apart. */
import type { Place } from './config.ts';
import { findNearest } from './find-nearest.ts';
import { findCheck, KNOWN_NAMES } from './known-keys.ts';
import { applyLegacyEntry } from './legacy-entry.ts';
import { complain, type LoadState } from './load-state.ts';
import { applyNetEntry } from './net-entry.ts';
import { error, warning } from './nic-key.ts';
import type { KeyValue } from './split-lines.ts';

/** sizeof(utsname.nodename) less the closing NUL. */
const MAX_UTS_NAME_BYTES = 64;

const RIVALS: ReadonlyMap<string, string> = new Map([
  ['cap.drop', 'cap.keep'],
  ['cap.keep', 'cap.drop'],
  ['namespace.clone', 'namespace.keep'],
  ['namespace.keep', 'namespace.clone'],
]);

/** What decides whose the container's network is, what it may do to it, and who is asked before it starts. */
const SETTINGS =
  /^(namespace\.(clone|keep|share\.net)|cap\.(drop|keep)|idmap|mount\.auto|apparmor\.profile|hook\.start-host)$/;

/** Lists grow by each line, and an empty value clears them; the two lists of capabilities are one. */
function keepSetting(state: LoadState, key: string, value: string, place: Place): void {
  if (value !== '') state.settings.push({ key, value, place });
  else state.settings = state.settings.filter((one) => one.key !== key && !(/^cap/.test(key) && /^cap/.test(one.key)));
}

export function applyEntry(state: LoadState, entry: KeyValue, place: Place): void {
  const { key, value } = entry;
  if (key === 'lxc.net' || key.startsWith('lxc.net.')) applyNetEntry(state, entry, place);
  else if (key === 'lxc.group') applyGroup(state, value);
  else if (key === 'lxc.uts.name') applyUtsName(state, entry, place);
  else applyOther(state, entry, place);
}

/** Keys that mean nothing to us; but one that LXC refuses makes it refuse the whole file. */
function applyOther(state: LoadState, entry: KeyValue, place: Place): void {
  const { key, value } = entry;
  const name = key.slice('lxc.'.length);
  const check = findCheck(name);
  if (check === undefined) {
    if (!applyLegacyEntry(state, entry, place)) complain(state, place, entry.keyColumn, error(unknownKey(key, name)));
    return;
  }
  if (/^environment\b/.test(name) && value !== '' && !value.includes('=')) {
    const message = `LXC refuses the file where the variable "${value}" isn't set: write NAME=VALUE`;
    complain(state, place, entry.valueColumn, warning(message));
  }
  const expected = check(value);
  if (expected === undefined) {
    applyExclusive(state, name, entry, place);
    if (SETTINGS.test(name)) keepSetting(state, name, value, place);
  } else complain(state, place, entry.valueColumn, error(`${key} must be ${expected}, not "${value}"`));
}

/** Several names a line, several lines; an empty value forgets those before it. */
function applyGroup(state: LoadState, value: string): void {
  if (value === '') state.groups = [];
  for (const group of value.split(/[ \t]+/)) {
    if (group !== '') state.groups.push(group);
  }
}

function applyUtsName(state: LoadState, { value, valueColumn }: KeyValue, place: Place): void {
  if (Buffer.byteLength(value) > MAX_UTS_NAME_BYTES) {
    complain(state, place, valueColumn, error(`a host name has at most ${MAX_UTS_NAME_BYTES} bytes`));
    return;
  }
  state.utsName = value === '' ? undefined : value;
}

/** Two pairs of keys exclude each other until the first is cleared. */
function applyExclusive(state: LoadState, name: string, { value, keyColumn }: KeyValue, place: Place): void {
  const other = RIVALS.get(name);
  if (other === undefined) return;
  if (value === '') {
    state.claims.delete(name);
    // An empty cap.drop empties the list that both keys share.
    if (name.startsWith('cap.')) state.claims.delete(other);
  } else if (state.claims.has(other)) {
    complain(state, place, keyColumn, error(`lxc.${name} and lxc.${other} exclude each other`));
  } else state.claims.add(name);
}

function unknownKey(key: string, name: string): string {
  const near = findNearest(name, KNOWN_NAMES);
  return `LXC knows no ${key}${near === undefined ? '' : `: did you mean lxc.${near}?`}`;
}
