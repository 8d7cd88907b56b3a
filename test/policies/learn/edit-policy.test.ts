/** Rules written into policy files as people write them: what stood there stays as it was. */
import { expect, test } from 'vitest';
import { parseDocument } from 'yaml';
import { editPolicy } from '../../../policies/learn/edit-policy.ts';
import type { ProposedRule } from '../../../policies/learn/propose-rules.ts';

const rule = (direction: 'egress' | 'ingress', services: string[], peers: string[]): ProposedRule => ({
  ...{ direction, services, peers, packets: 3, lastSeen: 0, wider: [] },
});
const OUT = rule('egress', ['http', 'tcp/8080,8081'], ['container:web', '2001:db8::']);
const IN = rule('ingress', ['ssh'], ['host']);

const edit = (text: string, ...rules: readonly ProposedRule[]) =>
  editPolicy(
    text,
    (['egress', 'ingress'] as const).map((path) => ({
      path: [path],
      rules: rules.filter(({ direction }) => direction === path),
    })),
    ['mode', 'until'],
    ({ packets }) => [`${packets} packets`],
  );

test('an empty file, or one of comments, gets the directions that have rules', () => {
  const { text } = edit('# of the build team\n', OUT, IN);
  expect(text).toBe(`# of the build team
egress:
  rules:
    # 3 packets
    - allow: [http, "tcp/8080,8081"]
      to: [container:web, "2001:db8::"]
ingress:
  rules:
    # 3 packets
    - allow: ssh
      from: host
`);
});

test('rules come after those of the file, in its own indentation, and everything else stays byte for byte', () => {
  const before = `# the web
use: [base]   # shared
mode: observe
until: 2026-12-01T00:00:00Z # one week

egress:
    default:   "reject"
    rules:
    # the mail
    - { drop: tcp/25, to: any }   # on purpose
    # at the end of the rules

# what comes in
ingress:
    rules:
        - allow: https
          from: any
          comment: |
            two
            lines
`;
  const { text, rewritten } = edit(before, OUT, IN);
  expect(rewritten).toBe(false);
  expect(text).toBe(
    before
      .replace('mode: observe\nuntil: 2026-12-01T00:00:00Z # one week\n', '')
      .replace(
        '# on purpose\n',
        `# on purpose
    # 3 packets
    - allow: [http, "tcp/8080,8081"]
      to: [container:web, "2001:db8::"]
`,
      )
      .replace(
        '            lines\n',
        '            lines\n        # 3 packets\n        - allow: ssh\n          from: host\n',
      ),
  );
});

test('a direction without rules gets them after what it says', () => {
  expect(edit('egress:\n  default: reject # loud\ningress:\n  log: true\n', OUT).text).toBe(`egress:
  default: reject # loud
  rules:
    # 3 packets
    - allow: [http, "tcp/8080,8081"]
      to: [container:web, "2001:db8::"]
ingress:
  log: true
`);
});

test.each([
  ['mappings in brackets', 'egress: { default: reject } # loud\n'],
  ['an empty list', 'egress:\n  default: reject\n  rules: []\n'],
  ['JSON', '{ "egress": { "default": "reject" } }'],
  ['a list in brackets', 'egress: { default: reject, rules: [{ allow: dns, to: any }] }\n'],
  ['nothing in them', 'egress: {}\n'],
])('%s are written anew, line by line', (_name, before) => {
  const { text, rewritten } = edit(before, OUT);
  expect(rewritten).toBe(true);
  const [old, next] = [before, text].map((each) => parseDocument(each).toJS());
  const rules = [
    ...(old.egress.rules ?? []),
    { allow: ['http', 'tcp/8080,8081'], to: ['container:web', '2001:db8::'] },
  ];
  expect(next).toEqual({ egress: { ...old.egress, rules } });
  expect(text).toContain('# 3 packets\n');
  if (before.includes('# loud')) expect(text).toContain('# loud');
});
