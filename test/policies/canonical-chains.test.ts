/** Which of equal chains stands for all of them, followed from policies to policies. */
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { followChains } from '../../policies/canonical-chains.ts';
import { chainsOf } from '../../policies/rule-ends.ts';
import { compileFiles } from './compile-texts.ts';

const TEXTS = [
  'egress: { default: allow }\n',
  '# lower\negress: { default: allow }\n',
  'ingress: { default: reject }\n',
];
/** One of each text for each name; two of them have the very same chains. */
const POLICIES = ['web', 'db', 'mail'].flatMap((name) =>
  TEXTS.map((text) => {
    const compiled = compileFiles({ 'containers/web.yaml': text.replace(/$/, ` # ${name}`) });
    const chains = structuredClone({ default: compiled.default, interfaces: compiled.interfaces });
    for (const chain of chainsOf({ ...compiled, ...chains }))
      for (const one of [chain.default]) if (one.origin !== null) Object.assign(one.origin, { file: `${name}.yaml` });
    return { ...compiled, ...chains };
  }),
);

const policies = fc
  .array(fc.tuple(fc.constantFrom('1', '2', '3', '4'), fc.constantFrom(...POLICIES)), { maxLength: 4 })
  .map((entries) => new Map(entries));

it('is the one that it would be without any policies before, and tells when that changes for who stays', () => {
  fc.assert(
    fc.property(fc.array(policies, { maxLength: 6 }), (maps) => {
      const follow = followChains();
      let before = new Map(maps[0]);
      follow(before);
      for (const map of maps) {
        const staying = [...map].filter(([key, policy]) => before.get(key) === policy);
        const chains = staying.flatMap(([, policy]) => chainsOf(policy));
        const known = chains.map(followChains()(before).chainFor);
        const { chainFor, concernsOthers } = follow(map);
        const fresh = followChains()(map).chainFor;
        for (const policy of map.values())
          for (const chain of chainsOf(policy)) expect(chainFor(chain)).toEqual(fresh(chain));
        const isSame = chains.every((chain, index) => isDeepStrictEqual(chainFor(chain), known[index]));
        expect(concernsOthers).toBe(!isSame);
        before = map;
      }
    }),
    { numRuns: 300 },
  );
});
