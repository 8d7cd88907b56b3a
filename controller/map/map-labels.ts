/** What the map calls its nodes and edges; names of containers may hold anything. */
import type { MapNode } from './map-nodes.ts';

/** More names than this are counted. */
const NAMED = 2;

/** Nothing that moves a cursor, breaks a line or turns the text around. */
export const plainText = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');

export function nodeLabel({ id, members, group, isWholeGroup }: MapNode): string {
  if (members.length === 0) return plainText(id);
  const [first = ''] = members;
  if (members.length === 1) return plainText(first);
  if (isWholeGroup && group !== null) return plainText(`group ${group}`);
  const shown = members.slice(0, NAMED);
  const more = members.length - shown.length;
  return plainText(more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', '));
}

/** What a policy's state means for the whole container; `undefined` where its own file decides. */
export function policyNote({ policy, sealed }: MapNode): string | undefined {
  if (sealed) return 'sealed by panic';
  switch (policy) {
    case 'closed':
      return 'closed: no valid policy';
    case 'open':
      return 'open: no policy';
    case 'last-good':
      return 'policy broken: last good one';
    case 'ok':
    case null:
      return undefined;
  }
}

/** In words; `nothing` where the larger peer outside gets something. */
export const servicesText = (services: readonly string[]): readonly string[] =>
  services.length === 0 ? ['nothing'] : services.map(plainText);
