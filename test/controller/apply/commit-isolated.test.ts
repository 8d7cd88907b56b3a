import fc from 'fast-check';
import { expect, it } from 'vitest';
import { nameOf } from '../../../controller/apply/apply.ts';
import { type Attempt, commitIsolated } from '../../../controller/apply/commit-isolated.ts';
import type { DesiredState, NicState } from '../../../render/desired.ts';
import { keyOf, nicOf, stateOf } from '../states.ts';

const BAD_PORT = 70_000;

const isBad = ({ egress: { rules } }: NicState): boolean =>
  rules.some(({ service }) => service.kind === 'ports' && service.ports.some(({ first }) => first === BAD_PORT));

/** Refuses every state that holds a bad NIC, and names it where it is told to. */
function kernel(naming: boolean) {
  const taken: DesiredState[] = [];
  let attempts = 0;
  const attempt: Attempt = async (state) => {
    attempts += 1;
    const bad = [...state.nics.values()].find(isBad);
    if (bad === undefined) taken.push(state);
    if (bad === undefined) return undefined;
    return { command: naming ? `add rule inet routewall ${nameOf(bad.egress)} tcp` : undefined, message: 'too large' };
  };
  return { attempt, taken, attempts: () => attempts };
}

it('commits a state without mistakes at the first attempt', async () => {
  const { attempt, attempts } = kernel(true);
  const desired = stateOf(nicOf(1, 80), nicOf(2, 80));
  expect(await commitIsolated(desired, undefined, attempt, nameOf)).toEqual({ enforced: desired, refused: new Map() });
  expect(attempts()).toBe(1);
});

it('needs one more attempt where nft names the NIC', async () => {
  const { attempt, attempts } = kernel(true);
  const bad = nicOf(2, BAD_PORT);
  const { refused } = await commitIsolated(stateOf(nicOf(1, 80), bad, nicOf(3, 80)), undefined, attempt, nameOf);
  expect([...refused]).toEqual([[keyOf(bad), 'too large']]);
  expect(attempts()).toBe(2);
});

it('leaves the refused NIC what it had, unless its veth is another', async () => {
  const [old, other] = [nicOf(2, 443), nicOf(3, 443)];
  const moved: NicState = { ...nicOf(3, BAD_PORT), hostVeth: nicOf(9, 1).hostVeth };
  const desired = stateOf(nicOf(1, 80), nicOf(2, BAD_PORT), moved);
  const { enforced, refused } = await commitIsolated(desired, stateOf(old, other), kernel(false).attempt, nameOf);
  expect([...refused.keys()]).toEqual([keyOf(old), keyOf(other)]);
  expect(enforced.nics.get(keyOf(old))).toBe(old);
  expect(enforced.nics.get(keyOf(other))).toMatchObject({
    hostVeth: 'veth9',
    egress: { rules: [] },
    ingress: { rules: [] },
  });
});

it('gives every good NIC its own and every bad one what it had or nothing, whatever nft names', async () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 });
  const ports = fc.infiniteStream(fc.constantFrom(80, 443, BAD_PORT));
  await fc.assert(
    fc.asyncProperty(numbers, ports, fc.boolean(), fc.boolean(), async (ids, stream, naming, hadSome) => {
      const nics = ids.map((id) => nicOf(id, stream.next().value));
      const before = hadSome ? stateOf(...ids.filter((id) => id % 2 === 0).map((id) => nicOf(id, 22))) : undefined;
      const { attempt, taken } = kernel(naming);
      const { enforced, refused } = await commitIsolated(stateOf(...nics), before, attempt, nameOf);
      expect([...refused.keys()].sort()).toEqual(nics.filter(isBad).map(keyOf).sort());
      expect(taken.at(-1)).toEqual(enforced);
      for (const nic of nics) {
        const got = enforced.nics.get(keyOf(nic));
        if (!isBad(nic)) expect(got).toBe(nic);
        else if (before?.nics.has(keyOf(nic))) expect(got).toBe(before.nics.get(keyOf(nic)));
        else expect(got?.egress.rules).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});

it('fails where nft refuses even what no NIC changed', async () => {
  const nothing = stateOf();
  await expect(
    commitIsolated(nothing, nothing, async () => ({ command: undefined, message: 'no memory' }), nameOf),
  ).rejects.toThrow('the kernel refuses the ruleset: no memory');
});
