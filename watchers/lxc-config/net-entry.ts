/** Applies one `lxc.net…` line. */
import type { Place } from './config.ts';
import { findNearest } from './find-nearest.ts';
import { complain, type LoadState } from './load-state.ts';
import { type NicDraft, newNic } from './nic-draft.ts';
import { type Complaint, error, warning } from './nic-key.ts';
import { NIC_KEYS } from './nic-keys.ts';
import { parseUnsigned } from './numbers.ts';
import type { KeyValue } from './split-lines.ts';

/** LXC counts NICs with a C int. */
const MAX_INDEX = 2147483646;

/** `lxc.net =` clears all; `lxc.net.[i] =` removes one; `lxc.net.[i].KEY = …` makes the NIC where there is none yet. */
export function applyNetEntry(state: LoadState, entry: KeyValue, place: Place): void {
  if (entry.key === 'lxc.net') {
    if (entry.value === '') state.nics.clear();
    else complain(state, place, entry.valueColumn, error('lxc.net takes no value: an empty one clears all NICs'));
    return;
  }
  const rest = entry.key.slice('lxc.net.'.length);
  if (entry.value === '' && /^\d[^.]*$/.test(rest)) {
    removeNic(state, rest, entry, place);
    return;
  }
  const match = /^(\d+)\.(.*)$/s.exec(rest);
  const index = Number(match?.[1]);
  if (match?.[2] === undefined || index > MAX_INDEX) {
    const message = `LXC knows no ${entry.key}, but lxc.net.[i].KEY, such as lxc.net.0.type`;
    complain(state, place, entry.keyColumn, error(message));
    return;
  }
  applyNicKey(state, index, match[2], entry, place);
}

/** Here, and only here, LXC reads the index as C would: `lxc.net.010 =` removes NIC 8. */
function removeNic(state: LoadState, text: string, entry: KeyValue, place: Place): void {
  const index = parseUnsigned(text);
  if (index === undefined) {
    complain(state, place, entry.keyColumn, error(`"${text}" is no NIC's index`));
    return;
  }
  state.nics.delete(index);
  if (/^\d+$/.test(text) && Number(text) !== index) {
    complain(state, place, entry.keyColumn, warning(`LXC reads ${text} as octal here and removes NIC ${index}`));
  }
}

/** Sets or clears one key of one NIC; `name` is today's, such as `ipv4.address`. */
export function applyNicKey(state: LoadState, index: number, name: string, entry: KeyValue, place: Place): void {
  const key = NIC_KEYS.get(name);
  if (key === undefined) {
    complain(state, place, entry.keyColumn, error(unknownNicKey(entry.key, name)));
    return;
  }
  const existing = state.nics.get(index);
  if (entry.value === '') {
    const complaint = existing === undefined ? nothingToClear(index) : key.clear(existing, place);
    complain(state, place, entry.keyColumn, complaint);
    return;
  }
  const nic = existing ?? addNic(state, index, place);
  if (key.only !== undefined && nic.type !== key.only) {
    const message = `${name} needs lxc.net.${index}.type = ${key.only} in an earlier line`;
    complain(state, place, entry.keyColumn, error(message));
    return;
  }
  complain(state, place, entry.valueColumn, key.set(nic, entry.value, place));
}

function addNic(state: LoadState, index: number, place: Place): NicDraft {
  const nic = newNic(index, place);
  state.nics.set(index, nic);
  return nic;
}

const nothingToClear = (index: number): Complaint =>
  error(`there is no lxc.net.${index} yet whose value could be cleared`);

function unknownNicKey(key: string, name: string): string {
  const near = findNearest(name, [...NIC_KEYS.keys()]);
  return `LXC knows no ${key}${near === undefined ? '' : `: did you mean ${near}?`}`;
}
