/** What was counted as refused for interfaces that are gone goes, also where it could not at first. */
import { expect, test } from 'vitest';
import { createRefusalCleaner } from '../../../controller/denials/refusal-counters.ts';

const LISTING = `table inet routewall {
	set refused_egress4 {
		elements = { "veth0" . 192.0.2.53 . 17 . 53 counter packets 3 bytes 87 expires 59m40s,
			     "veth1" . 192.0.2.53 . 17 . 53 counter packets 3 bytes 87 expires 59m40s }
	}
}
`;
const DELETION = 'delete element inet routewall refused_egress4 { "veth0" . 192.0.2.53 . 17 . 53 }';

test('what nft gave no answer about is cleared behind the next pass, in which nobody else went', async () => {
  const said: string[] = [];
  const committed: string[] = [];
  let hangs = true;
  const cleaner = createRefusalCleaner(
    async () => {
      if (hangs) throw new Error('nft: no answer within 60 s');
      return { stdout: LISTING, stderr: '', exitCode: 0 };
    },
    { commit: async (commands) => void committed.push(...commands), stop: () => undefined, pid: undefined },
    (_severity, text) => void said.push(text),
    { isClaimed: () => false, countings: () => [{ as: 'refused', by: 'egress' }] },
  );
  cleaner.forget(['veth0']);
  await cleaner.idle();
  expect(said).toEqual(['counters of refused packets: nft: no answer within 60 s']);
  hangs = false;
  cleaner.forget([]);
  await cleaner.idle();
  expect(committed).toEqual([DELETION]);
  cleaner.forget([]);
  await cleaner.idle();
  expect(committed).toHaveLength(1);
});
