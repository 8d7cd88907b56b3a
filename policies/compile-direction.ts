/** One direction of one policy as a chain: the file's own rules, then those of its profiles. */
import type { ChainOwner, Direction, PolicyChain, Rule } from '../render/rule.ts';
import type { CompileContext, Layer } from './compile-context.ts';
import { compileRule } from './compile-rule.ts';
import type { Path } from './places.ts';
import type { Egress, Ingress } from './policy.gen.ts';
import { shownFile } from './policy-files.ts';

/** What one layer says about the direction, and where. */
export interface Section {
  readonly layer: Layer;
  readonly path: Path;
  readonly content: Egress | Ingress;
}

/** `sections` in order of precedence: the container's own file first. */
export function compileDirection(
  direction: Direction,
  sections: readonly Section[],
  owner: ChainOwner,
  context: CompileContext,
): PolicyChain {
  const rules = sections.flatMap((section) => compileSection(section, context));
  const verdict = sections.find(({ content }) => content.default !== undefined);
  const log = sections.find(({ content }) => content.log !== undefined)?.content.log ?? false;
  const isOwn = log || rules.some((rule) => rule.log || rule.action === 'log' || rule.limit !== undefined);
  return {
    direction,
    rules,
    default: {
      verdict: verdict?.content.default ?? 'drop',
      log,
      origin: verdict === undefined ? null : originOf(verdict, [...verdict.path, 'default']),
    },
    ...(isOwn ? { owner } : {}),
  };
}

function compileSection({ layer, path, content }: Section, context: CompileContext): Rule[] {
  return (content.rules ?? []).flatMap((rule, index) =>
    compileRule(rule, [...path, 'rules', index], layer.document, context),
  );
}

const originOf = ({ layer }: Section, path: Path) => ({
  file: shownFile(layer.document.file),
  ...layer.document.placeOf(path, 'key'),
});
