/** How long a policy observes, and what is left of it at its end. */
import { expect, test } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import { chainsOf, endsOf, withoutEnded } from '../../policies/rule-ends.ts';
import { compileFiles, compileText, problemsOf } from './compile-texts.ts';

const UNTIL = Date.parse('2026-06-08T00:00:00Z') / 1000;
const text = (mode: string): string => `mode: ${mode}
until: 2026-06-08T00:00:00Z
egress:
  rules: [{ allow: ssh, to: any }]
interfaces:
  eth1:
    ingress: { default: reject }
`;

test('it warns while it observes, and when that has ended', () => {
  expect(problemsOf(compileText(text('observe')))).toEqual([
    'containers/web.yaml:1:7: warning: the policy is observed until 2026-06-08T00:00:00Z: what it refuses passes',
  ]);
  const ended = compileText('mode: observe-ingress\nuntil: 2026-06-01T00:00:00Z\n');
  expect(problemsOf(ended)).toEqual([
    'containers/web.yaml:2:8: warning: observing ended at 2026-06-01T00:00:00Z: remove "mode" and "until"',
  ]);
  expect(ended.ok).toBe(true);
  expect(chainsOf(ended).filter(({ observe }) => observe !== undefined)).toEqual([]);
});

test('it holds for every NIC, and for the directions that it names', () => {
  const observed = (mode: string) =>
    chainsOf(compileText(text(mode))).map(({ direction, observe }) => `${direction} ${observe?.until ?? '-'}`);
  expect(observed('observe')).toEqual([`egress ${UNTIL}`, `ingress ${UNTIL}`, `egress ${UNTIL}`, `ingress ${UNTIL}`]);
  expect(observed('observe-ingress')).toEqual(['egress -', `ingress ${UNTIL}`, 'egress -', `ingress ${UNTIL}`]);
});

test('a profile has no mode', () => {
  const { ok } = compileFiles({
    'containers/web.yaml': 'use: base',
    'profiles/base.yaml': 'mode: observe\nuntil: 2026-06-08T00:00:00Z\n',
  });
  expect(ok).toBe(false);
});

test('its end is a moment at which the policy means something else: also a last good one is enforced then', () => {
  const compiled = compileText(text('observe'));
  expect([...new Set(endsOf([], compiled))]).toEqual([UNTIL]);
  expect(endsOf(compiled.lookups, compiled)).toContain(UNTIL);
  expect(withoutEnded(compiled, UNTIL * 1000 - 1)).toBe(compiled);
  const plain = compileText(text('observe').replace(/^mode.*\nuntil.*\n/, ''));
  const hashes = (policy: Parameters<typeof chainsOf>[0]) => chainsOf(policy).map(chainHash);
  expect(hashes(withoutEnded(compiled, UNTIL * 1000))).toEqual(hashes(plain));
  expect(hashes(compiled)).not.toEqual(hashes(plain));
});
