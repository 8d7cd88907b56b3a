/** The prefixes that a policy routes to its container. */
import {
  familyOf,
  networkOf,
  type Prefix,
  parsePrefix,
  prefixLength,
  rangeOf,
  rangesOverlap,
} from '../render/address.ts';
import type { Origin } from '../render/rule.ts';
import { type CompileContext, type Layer, placedWords } from './compile-context.ts';
import { hostBitsWarning } from './peer-words.ts';
import { shownFile } from './policy-files.ts';
import { listOf } from './type-hints.ts';

export interface CompiledRoute {
  readonly prefix: Prefix;
  readonly origin: Origin;
}

const unroutable = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '::/128', '::1/128', 'fe80::/10', 'ff00::/8'].flatMap(
  (text) => parsePrefix(text) ?? [],
);

/** Each prefix once, the container's own file first; what is wrong is reported. */
export function compileRoutes(layers: readonly Layer[], { report }: CompileContext): CompiledRoute[] {
  const routes = new Map<Prefix, CompiledRoute>();
  for (const { document, policy } of layers) {
    for (const { text, path } of placedWords(policy.routes ?? [], ['routes'])) {
      const prefix = parsePrefix(text);
      const mistake = prefix === undefined ? noPrefix(text) : refusal(prefix);
      if (prefix === undefined || mistake !== undefined) {
        report(document.problemAt(path, mistake ?? ''));
        continue;
      }
      const warning = hostBitsWarning(text, rangeOf(prefix));
      if (warning !== undefined) report(document.problemAt(path, warning, 'warning'));
      const origin = { file: shownFile(document.file), line: document.placeOf(path).line };
      if (!routes.has(prefix)) routes.set(prefix, { prefix, origin });
    }
  }
  return [...routes.values()];
}

function refusal(prefix: Prefix): string | undefined {
  if (prefixLength(prefix) === 0) return `"${prefix}" would send all of the host's IPv${familyOf(prefix)} traffic here`;
  if (!unroutable.some((special) => rangesOverlap(rangeOf(special), rangeOf(prefix)))) return undefined;
  return `"${prefix}" can't be routed: ${networkOf(prefix)} is loopback, link-local, multicast or reserved`;
}

const noPrefix = (text: string): string =>
  `"${text}" is no prefix: ${/[,\s]/.test(text.trim()) ? `did you mean ${listOf(text)}?` : 'write one such as 198.51.100.64/28'}`;
