/** learn and denials on recorded listings: policies of all shapes, and what must never be proposed. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Run } from '../../../controller/commands/run.ts';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

/** As `nft --numeric -i` of 1.0.6 prints sets: by name, the keys of their elements. */
const nft =
  (sets: Readonly<Record<string, readonly string[]>>): Run =>
  (_command, _args, { input = '' } = {}) => {
    const asked = Object.entries(sets).filter(([name]) => input.includes(`list set inet routewall ${name}\n`));
    const text = asked.map(([name, keys]) => {
      const elements = keys.map((key) => `${key} counter packets 3 bytes 180 expires 59m50s`);
      return `table inet routewall {\n\tset ${name} {\n\t\telements = { ${elements.join(',\n\t\t')} }\n\t}\n}\n`;
    });
    return Promise.resolve({ stdout: text.join(''), stderr: '', exitCode: 0 });
  };

const learn = async (egress: readonly string[], words = '') => {
  const keys = egress.map((key) => `198.51.100.20 . ${key}`);
  const { out, ...said } = await bed.rw(`learn -n web ${words}`, { run: nft({ observed_egress4: keys }) });
  return { ...said, out: out.replaceAll(/# 3 packets, the last at \S+/g, '# …') };
};

const HOST_SSH = '192.0.2.1 . 6 . 22';
const NET_DNS = '203.0.113.53 . 17 . 53';

test('what the policy allows, and what the other containers did, needs nothing: the answer is no', async () => {
  bed.write('pol/containers/web.yaml', 'egress: { default: allow }\n');
  expect(await learn([HOST_SSH])).toMatchObject({ exitCode: 1, out: '', err: expect.stringContaining('nothing was') });
  bed.write('pol/containers/web.yaml', '{}\n');
  const run = nft({ observed_egress4: [`198.51.100.10 . ${HOST_SSH}`], refused_egress4: [`"vethWeb" . ${HOST_SSH}`] });
  expect((await bed.rw('learn -n web', { run })).out).toBe('');
  expect((await bed.rw('learn -n web --refused', { run })).out).toContain('- allow: ssh\n      to: host\n');
});

test('a container without a file gets one, on top of what _default says', async () => {
  bed.write('pol/containers/_default.yaml', '# for all\negress:\n  default: reject\n');
  const run = nft({ observed_egress4: [`198.51.100.40 . ${HOST_SSH}`] });
  const { out, err } = await bed.rw('learn -n stray --diff', { run });
  expect(out.replaceAll(/# 3 packets.*/g, '# …')).toBe(`--- pol/containers/_default.yaml
+++ pol/containers/stray.yaml
@@ -1,3 +1,7 @@
 # for all
 egress:
   default: reject
+  rules:
+    # …
+    - allow: ssh
+      to: host
`);
  expect(err).toBe('');
});

test('a diff begins with its two files where both have one name, too', async () => {
  bed.write('pol/containers/stray.yaml', 'egress:\n  default: reject\n');
  const run = nft({ observed_egress4: [`198.51.100.40 . ${HOST_SSH}`] });
  const { out } = await bed.rw('learn -n stray --diff', { run });
  expect(out).toMatch(/^--- pol\/containers\/stray\.yaml\n\+{3} pol\/containers\/stray\.yaml\n@@ -1,2 \+1,6 @@\n/);
});

test('JSON becomes YAML, and its file has to go', async () => {
  bed.write('pol/containers/stray.json', '{ "egress": { "default": "reject" } }');
  const run = nft({ observed_egress4: [`198.51.100.40 . ${HOST_SSH}`] });
  const { out, err } = await bed.rw('learn -n stray', { run });
  expect(out).toMatch(
    /^"egress":\n {2}"default": "reject"\n {2}rules:\n {4}# 3 packets.*\n {4}- allow: ssh\n {6}to: host\n/,
  );
  expect(err).toContain('it takes the place of pol/containers/stray.json: remove that file');
});

test('a NIC with rules of its own gets its rules there', async () => {
  bed.write('pol/containers/web.yaml', 'interfaces:\n  eth0:\n    egress:\n      default: reject\n');
  expect((await learn([HOST_SSH])).out).toBe(
    'interfaces:\n  eth0:\n    egress:\n      default: reject\n      rules:\n        # …\n        - allow: ssh\n          to: host\n',
  );
});

test('what a rule refuses is left out, also one of a profile, whose rules nothing wide undoes', async () => {
  bed.write('pol/profiles/base.yaml', 'egress:\n  rules:\n    - drop: tcp/53\n      to: any\n');
  bed.write('pol/containers/web.yaml', 'use: base\n');
  const { out, err } = await learn([NET_DNS, '203.0.113.53 . 6 . 53']);
  expect(out).toBe('use: base\negress:\n  rules:\n    # …\n    - allow: udp/53\n      to: 203.0.113.53\n');
  expect(err).toContain('left out: egress tcp/53 203.0.113.53 (3 packets): a rule refuses it: profiles/base.yaml:3\n');
});

test('what is expected not to pass is never proposed, and no name that stands for it', async () => {
  const expected = 'expect:\n  - drop: [tcp/22, tcp/53]\n    to: any\n';
  bed.write('pol/containers/web.yaml', expected);
  const { out, err, exitCode } = await learn([HOST_SSH, NET_DNS]);
  expect(exitCode).toBe(0);
  expect(out).toBe(`${expected}egress:\n  rules:\n    # …\n    - allow: udp/53\n      to: 203.0.113.53\n`);
  expect(err).toContain('egress tcp/22 192.0.2.1 (3 packets): it is expected not to pass: web.yaml:2\n');
});

test('a policy with errors is mended first, and learn learns about one container', async () => {
  bed.write('pol/containers/web.yaml', 'egres: {}\n');
  expect(await learn([HOST_SSH])).toMatchObject({ exitCode: 1, err: expect.stringContaining('mend them first') });
  expect(await bed.rw('learn')).toMatchObject({ exitCode: 2, err: expect.stringContaining('-n NAME') });
  expect(await bed.rw('learn -n wb')).toMatchObject({ exitCode: 2 });
});

test('JSON has the file, the rules with their counts, and what was left out', async () => {
  bed.write('pol/containers/web.yaml', '{}\n');
  const said = JSON.parse((await learn([NET_DNS, '224.0.0.251 . 17 . 5353'], '--json')).out);
  expect(said).toMatchObject({
    file: 'pol/containers/web.yaml',
    rules: [
      { direction: 'egress', services: ['dns'], peers: ['203.0.113.53'], packets: 3, wider: ['dns: tcp/53 too'] },
    ],
    leftOut: [{ direction: 'egress', service: 'udp/5353', peer: '224.0.0.251', packets: 3 }],
  });
  expect(said.text).toContain('allow: dns');
});

test('denials names the rule that refused, and none where the policy allows it now', async () => {
  const keys = [
    '"vethTind" . 203.0.113.25 . 6 . 25',
    '"vethTind" . 192.0.2.1 . 6 . 22',
    '"vethTind" . 192.0.2.1 . 6 . 873',
  ];
  const run = nft({ refused_egress4: keys, refused_spoof4: ['"vethTind" . 192.0.2.9 . 6 . 22'] });
  const said: { service: string; rule: unknown }[] = JSON.parse((await bed.rw('denials --json', { run })).out);
  expect(said.map(({ service, rule }) => [service, rule]).reverse()).toEqual([
    ['tcp/25', { file: 'containers/tinderbox.yaml', line: 6, text: 'drop tcp/25 to any, logged' }],
    ['tcp/22', { file: 'containers/tinderbox.yaml', line: 2, text: 'default: reject' }],
    ['tcp/873', null],
    ['tcp/22', null],
  ]);
  const { out } = await bed.rw('denials -n tinderbox', { run });
  expect(out).toMatch(/tcp\/25 \(smtp\) +tinderbox\.yaml:6 +3/);
});

test('a kernel without records says what would help', async () => {
  const run: Run = () => Promise.resolve({ stdout: '', stderr: 'Error: No such file or directory', exitCode: 1 });
  expect(await bed.rw('denials', { run })).toMatchObject({
    exitCode: 3,
    err: expect.stringContaining('systemctl start'),
  });
});

test('where iptables serves nobody records, and both say so', async () => {
  bed.write('routewall.yaml', 'backend: iptables\n');
  for (const words of ['learn -n web --config routewall.yaml', 'denials --config routewall.yaml'])
    expect(await bed.rw(words)).toMatchObject({ exitCode: 3, out: '', err: expect.stringContaining('log: true') });
});
