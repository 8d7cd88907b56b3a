/** Which service names may stand in a description: the host's own and the catalogue's, where they are unambiguous. */
import { catalogue } from '../catalogue.ts';
import type { ServiceTable } from '../service-table.ts';
import type { ServiceNames } from './describe-services.ts';
import { spansOfService } from './service-line.ts';
import { mergeSpans, type Span } from './spans.ts';

/** What takes several ports or types comes first. Of names that mean the same none is used, but the host's own are. */
export function serviceNames(table: ServiceTable): ServiceNames {
  const own = new Set(table.ownNames);
  const byMeaning = new Map<string, { readonly names: string[]; readonly spans: readonly Span[] }>();
  for (const name of new Set([...own, ...catalogue.keys()])) {
    const resolved = table.resolve(name);
    if (!('matches' in resolved) || resolved.matches.some(({ kind }) => kind === 'any')) continue;
    const { matches } = resolved;
    const spans = mergeSpans(([4, 6] as const).flatMap((f) => matches.flatMap((match) => spansOfService(match, f))));
    const key = JSON.stringify(spans);
    const entry = byMeaning.get(key) ?? { names: [], spans };
    entry.names.push(name);
    byMeaning.set(key, entry);
  }
  const chosen = [...byMeaning.values()].flatMap(({ names, spans }): [string, readonly Span[]][] => {
    const [first = ''] = names;
    return names.length === 1 || own.has(first) ? [[first, spans]] : [];
  });
  return new Map(chosen.sort(([, a], [, b]) => b.length - a.length));
}
