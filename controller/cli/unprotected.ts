/** What runs without anybody's having said what it may do, in the words of `status`. */
import type { Elsewhere } from '../host/elsewhere.ts';
import type { PolicyStatus } from '../pass/policy-status.ts';
import type { ContainerStatus } from '../status/status-shape.ts';
import { plural } from './print-problems.ts';

const LISTED = 3;

/** A line each for what gets nothing and what may do everything; and `ofNobody`, one of which may have been theirs. */
export function withoutPolicyLines(containers: readonly ContainerStatus[], ofNobody: readonly string[]): string[] {
  const running = containers.filter(
    ({ policy, state, ours }) => policy.file === null && ours !== false && state !== 'STOPPED',
  );
  const line = (status: PolicyStatus, one: string, many: string): string[] => {
    const names = running.filter(({ policy }) => policy.status === status).map(({ container }) => container);
    if (names.length === 0) return [];
    return [`${plural(names.length, 'running container')} ${names.length === 1 ? one : many}: ${listText(names)}`];
  };
  const lines = [
    ...line('closed', 'has no policy, and gets nothing', 'have no policy, and get nothing'),
    ...line('open', 'has no policy, and may do everything', 'have no policy, and may do everything'),
  ];
  return lines.length === 0 || ofNobody.length === 0 ? lines : [...lines, ofNobodyText(ofNobody)];
}

export const ofNobodyText = (files: readonly string[]): string =>
  `policy files for no container here: ${listText(files)}`;

export function elsewhereLines(elsewhere: readonly Elsewhere[]): string[] {
  if (elsewhere.length === 0) return [];
  const names = elsewhere.map(({ container, lxcPath }) => `${container} (${lxcPath})`);
  return [`under no policy, since lxcPaths doesn't name where it runs from: ${listText(names)}`];
}

/** More are counted, not listed. */
export function listText(names: readonly string[]): string {
  const shown = names.slice(0, LISTED).join(', ');
  return names.length > LISTED ? `${shown} and ${names.length - LISTED} more` : shown;
}
