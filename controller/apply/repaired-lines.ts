/** Tells repairs from what a change would have written anyway. */
import type { DesiredState } from '../../render/desired.ts';
import { diffRouting, renderRouting, routingOf } from '../../render/routing.ts';
import type { Backend } from './backend.ts';
import { settingLine, uniqueSysctls } from './nic-sysctls.ts';
import { describeUplinks } from './uplink-routing.ts';

interface Change {
  readonly backend: Pick<Backend, 'describe'>;
  readonly before: DesiredState;
  readonly after: DesiredState;
}

/** Those of the written lines that the change doesn't explain. */
export function repairedLines(written: readonly string[], change: Change): string[] {
  const ordinary = ordinaryLines(change);
  return written.filter((line) => !ordinary.has(line));
}

/** What an undisturbed kernel would have been told too: a start that meets a resync is no drift. */
function ordinaryLines({ backend, before, after }: Change): ReadonlySet<string> {
  const known = new Set(uniqueSysctls(before).map(settingLine));
  return new Set([
    ...backend.describe(before, after),
    ...renderRouting(diffRouting(routingOf(before), routingOf(after))),
    ...describeUplinks(before.host.uplinkTables, after.host.uplinkTables),
    ...uniqueSysctls(after)
      .map(settingLine)
      .filter((line) => !known.has(line)),
  ]);
}
