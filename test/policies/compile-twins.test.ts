/** Containers whose files hold one text get what each would have got alone. */
import { expect, test } from 'vitest';
import { chainHash } from '../../policies/chain-hash.ts';
import { compilePolicy } from '../../policies/compile-policy.ts';
import { createTwinCompiler } from '../../policies/compile-twins.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { book } from './compile-texts.ts';

const names = ['web', 'builder', 'legacy', 'fourth'];
const rules = 'rules: [{allow: [dns, https], to: internet, name: out}, {drop: any, to: set:mirrors}]';

test.each([
  [
    'rules of its own',
    `egress: {default: reject, ${rules}}\ningress: {rules: [{allow: ssh, from: container:builder}]}`,
  ],
  ['a profile', `use: base\negress: {${rules}}`],
  ['rules for one NIC', `egress: {${rules}}\ninterfaces: {eth1: {ingress: {default: allow}}}`],
  ['a log, which names the container', `egress: {log: true, ${rules}}`],
  ['a limit, which counts for it alone', 'ingress: {rules: [{allow: ssh, from: any, limit: 20/second}]}'],
  ['observation', `mode: observe\nuntil: 2031-01-01T00:00:00Z\negress: {${rules}}`],
  ['a translation', 'masquerade: true\npublish: [{tcp: 8080, to: 80}]'],
  ['routes and bandwidth', 'routes: [198.51.100.64/28]\nlimits: {egress: 100Mbit}'],
  ['bandwidth', 'limits: {egress: 100Mbit}'],
  ['an expectation', `egress: {${rules}}\nexpect: [{drop: smtp, to: any}]`],
  ['a mistake', 'egress: {rules: [{allow: squids, to: any}]}'],
  ['no file', undefined],
])('%s', (_what, text) => {
  const own = names.map((name): [string, string] => [`containers/${name}.yaml`, text ?? '']);
  const files = new Map([
    ...(text === undefined ? [['containers/_default.yaml', `egress: {${rules}}`] as const] : own),
    ['profiles/base.yaml', 'egress: {default: reject, rules: [{allow: ssh, to: lan}]}'],
    ['sets/mirrors.txt', '192.0.2.0/28\n2001:db8:1::/64\n'],
  ]);
  const sources = { loaded: loadPolicies(files), book, now: Date.UTC(2030, 0, 1) };
  const compile = createTwinCompiler();
  for (const name of names) {
    const [twin, alone] = [compile(name, sources), compilePolicy(name, sources)];
    // What a document says of places it says by functions of its own.
    expect({ ...twin, expectations: twin.expectations.length }).toEqual({
      ...alone,
      expectations: alone.expectations.length,
    });
    for (const direction of ['egress', 'ingress'] as const)
      expect(chainHash(twin.default[direction])).toBe(chainHash(structuredClone(alone.default[direction])));
  }
});
