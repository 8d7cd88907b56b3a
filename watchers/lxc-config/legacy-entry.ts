/** Reads a line of LXC 1 or 2 for what it meant, and says what to write instead. */
import type { Place } from './config.ts';
import { findNetworkSuccessor, findSuccessor } from './legacy-keys.ts';
import { complain, type LoadState } from './load-state.ts';
import { applyNicKey } from './net-entry.ts';
import { error } from './nic-key.ts';
import type { KeyValue } from './split-lines.ts';

/**
 * Whether the key was one of LXC's before 3.0. NICs of `lxc.network.*` lines count among the others: each
 * `lxc.network.type` begins the next one, and `lxc.network.[i].KEY` names the i-th of them.
 */
export function applyLegacyEntry(state: LoadState, entry: KeyValue, place: Place): boolean {
  if (entry.key === 'lxc.network') {
    refuse(state, entry, place, 'lxc.net');
    if (entry.value === '') clearLegacyNics(state);
    return true;
  }
  if (entry.key.startsWith('lxc.network.')) {
    applyLegacyNetwork(state, entry, place);
    return true;
  }
  const successor = findSuccessor(entry.key.slice('lxc.'.length));
  if (successor === undefined) return false;
  refuse(state, entry, place, successor === null ? null : `lxc.${successor}`);
  if (entry.key === 'lxc.utsname') state.utsName = entry.value === '' ? undefined : entry.value;
  return true;
}

function applyLegacyNetwork(state: LoadState, entry: KeyValue, place: Place): void {
  const match = /^(?:(\d+)\.)?(.*)$/s.exec(entry.key.slice('lxc.network.'.length));
  const name = findNetworkSuccessor(match?.[2] ?? '');
  if (name === undefined) {
    refuse(state, entry, place, 'lxc.net.[i].KEY');
    return;
  }
  const numbered = match?.[1] === undefined ? undefined : Number(match[1]);
  const begins =
    name === 'type' && entry.value !== '' && (numbered === undefined || numbered >= state.legacyNics.length);
  if (begins) state.legacyNics.push(freeIndex(state));
  const index = numbered === undefined || begins ? state.legacyNics.at(-1) : state.legacyNics[numbered];
  if (index === undefined) {
    complain(state, place, entry.keyColumn, error(`${entry.key} stands before any lxc.network.type`));
    return;
  }
  refuse(state, entry, place, `lxc.net.${index}.${name}`);
  applyNicKey(state, index, name, entry, place);
}

function refuse(state: LoadState, { key, keyColumn }: KeyValue, place: Place, instead: string | null): void {
  const advice = instead === null ? 'delete the line' : `write ${instead}`;
  complain(state, place, keyColumn, error(`LXC refuses ${key} since version 3.0: ${advice}`));
}

function clearLegacyNics(state: LoadState): void {
  for (const index of state.legacyNics) state.nics.delete(index);
  state.legacyNics.length = 0;
}

function freeIndex(state: LoadState): number {
  let index = (state.legacyNics.at(-1) ?? -1) + 1;
  while (state.nics.has(index)) index += 1;
  return index;
}
