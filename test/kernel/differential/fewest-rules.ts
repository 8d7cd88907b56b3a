/** Of a host's policies, the fewest rules by which a packet is still judged otherwise than the kernel does. */
import { shrink } from '../../attack/shrink.ts';
import type { Texts } from './random-host.ts';

const IS_RULE = /^ {4}- /;
const CLOSED = 'egress: { default: drop }\n';

/** A line of a text; a rule is one. */
interface Place {
  readonly kind: 'containers' | 'profiles';
  readonly index: number;
  readonly line: number;
}

/** `concerned`: the containers that send and receive; the others end up closed, where that changes nothing. */
export async function fewestRules(
  texts: Texts,
  concerned: readonly number[],
  breaks: (texts: Texts) => Promise<boolean>,
  hasTime: () => boolean,
): Promise<Texts> {
  const alone = {
    ...texts,
    containers: texts.containers.map((text, index) => (concerned.includes(index) ? text : CLOSED)),
  };
  const from = (await breaks(alone)) ? alone : texts;
  const rules = await shrink(rulesOf(from), (kept) => breaks(withRules(from, kept)), hasTime);
  return withRules(from, rules);
}

const rulesOf = (texts: Texts): Place[] =>
  (['profiles', 'containers'] as const).flatMap((kind) =>
    texts[kind].flatMap((text, index) =>
      text.split('\n').flatMap((words, line) => (IS_RULE.test(words) ? [{ kind, index, line }] : [])),
    ),
  );

function withRules(texts: Texts, kept: readonly Place[]): Texts {
  const keys = new Set(kept.map(({ kind, index, line }) => `${kind} ${index} ${line}`));
  const reduce = (kind: Place['kind']): string[] =>
    texts[kind].map((text, index) =>
      text
        .split('\n')
        .filter((words, line) => !IS_RULE.test(words) || keys.has(`${kind} ${index} ${line}`))
        .join('\n')
        // Neither a list nor a direction of nothing.
        .replace(/^ {2}rules:\n(?! {4})/gm, '')
        .replace(/^(egress|ingress):\n(?! )/gm, '$1: {}\n'),
    );
  return { containers: reduce('containers'), profiles: reduce('profiles') };
}
