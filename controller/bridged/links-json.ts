/** What `ip -j` and `tc -j` print. */
import { CommandError } from '../commands/run.ts';

/** `ip -j` prints nothing at all where there is no link. @throws CommandError */
export function parseLinksJson(json: string): unknown {
  try {
    return json.trim() === '' ? [] : JSON.parse(json);
  } catch (cause) {
    throw new CommandError('ip -j link show: no JSON', { cause });
  }
}
