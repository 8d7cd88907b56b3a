/** preview and status against a real kernel: what they find, and what is no difference. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { type CliBed, type CliResult, createFarm } from '../controller/cli/cli-bed.ts';
import { runIn } from './namespace-commands.ts';

let bed: CliBed;
let namespace: Namespace;
beforeEach(async () => {
  bed = createFarm();
  namespace = await createNamespace('preview');
  for (const name of ['eth0', 'vethTind', 'vethWeb']) {
    await namespace.run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `p${name}`]);
    await namespace.run('ip', ['link', 'set', name, 'up']);
  }
  await namespace.run('ip', ['link', 'add', 'br0', 'type', 'bridge']);
  await namespace.run('ip', ['link', 'set', 'br0', 'up']);
});
afterEach(async () => {
  bed.remove();
  await cleanUp();
});

const options = () => ({ run: runIn(namespace), env: { RUNTIME_DIRECTORY: bed.folder } });

const rw = (words: string): Promise<CliResult> => bed.rw(words, options());

/** Of the namespace as it is, where none of the containers runs. */
const live = (words: string): Promise<CliResult> => bed.live(words, options());

async function preview() {
  const { out, err } = await rw('preview --json');
  if (out === '') throw new Error(err);
  return JSON.parse(out);
}

/** The rendered text put into force, as an administrator could do by hand. */
async function enforce(render = rw): Promise<void> {
  const { ruleset, routing } = JSON.parse((await render('render --json')).out);
  writeFileSync(join(bed.folder, 'batch'), `${routing.join('\n')}\n`);
  await namespace.run('nft', ['-f', '-'], { input: ruleset });
  await namespace.run('ip', ['-force', '-batch', join(bed.folder, 'batch')]);
}

test('shows everything as new on an empty kernel, and what each container gains', async () => {
  const { changed, ruleset, routes, gateways, flows } = await preview();
  expect(changed).toBe(true);
  expect(ruleset).toMatch(/^--- kernel\n\+\+\+ desired\n@@ /);
  expect(
    ruleset
      .split('\n')
      .slice(3)
      .filter((line: string) => /^[-]/.test(line)),
  ).toEqual([]);
  expect(routes).toEqual({
    add: [
      '198.51.100.10/32 dev vethTind',
      '2001:db8:100::10/128 dev vethTind',
      '198.51.100.20/32 dev vethWeb',
      '2001:db8:100::20/128 dev vethWeb',
      '192.0.2.77/32 dev br0',
    ],
    remove: [],
  });
  expect(gateways.add).toContain('169.254.0.1 dev vethTind');
  const gain = { container: 'tinderbox', direction: 'egress', before: 'drop', after: 'allow' };
  expect(flows).toContainEqual(expect.objectContaining({ ...gain, peer: 'host', service: 'tcp/873' }));
  expect(flows).toContainEqual(expect.objectContaining({ ...gain, peer: 'container:db', service: 'tcp/5432' }));
});

test('finds nothing to change after what render printed is in force, whatever was counted since', async () => {
  await enforce();
  const counted = '{ "vethTind" . 203.0.113.9 . 6 . 25 timeout 1h }';
  await namespace.run('nft', [`add element inet routewall refused_egress4 ${counted}`]);
  expect(await rw('preview --exit-code')).toEqual({
    exitCode: 0,
    out: 'nothing would change for what runs: the kernel holds what the files say\n',
    err: '',
  });
});

test('shows an edited policy as a diff and in words', async () => {
  await enforce();
  bed.write(
    'pol/containers/tinderbox.yaml',
    'egress:\n  rules:\n    - allow: rsync\n      to: host\n    - allow: tcp/8000-8009\n      to: 203.0.113.0/28\n',
  );
  const { out, exitCode } = await rw('preview --exit-code');
  expect(exitCode).toBe(1);
  expect(out).toMatch(/^-\t\ttcp dport 3128 fib daddr type local accept comment "tinderbox.yaml:4"$/m);
  expect(out).toMatch(/^\+\t\ttcp dport 8000-8009 ip daddr 203.0.113.0\/28 accept comment "tinderbox.yaml:5"$/m);
  expect(out.slice(out.indexOf('in words:')).split('\n').sort()).toEqual(
    [
      'in words:',
      'tinderbox: egress that no rule decides now dropped (was rejected by tinderbox.yaml:2)',
      'tinderbox: from lan, container:web ping now dropped (was allowed by tinderbox.yaml:13)',
      'tinderbox: to 203.0.113.0/28 tcp/8000-8009 now allowed by tinderbox.yaml:5 (was rejected by tinderbox.yaml:2)',
      'tinderbox: to container:db postgresql now dropped (was allowed by tinderbox.yaml:9)',
      'tinderbox: to host squid now dropped (was allowed by tinderbox.yaml:4)',
      '',
    ].sort(),
  );
});

test('warns of a rule that can never match where it would come into force', async () => {
  await enforce();
  bed.write(
    'pol/containers/web.yaml',
    'ingress:\n  rules:\n    - drop: any\n      from: any\n    - allow: ssh\n      from: lan\n',
  );
  const { out, err } = await rw('preview');
  expect(out).toContain('in words:');
  expect(err).toMatch(/web.yaml:5:7: warning: this rule can never match: web.yaml:3 takes all that it is for/);
});

test('finds what someone took away, added or left behind', async () => {
  await enforce();
  await namespace.run('nft', ['delete element inet routewall veths { "vethWeb" }']);
  await namespace.run('ip', ['route', 'del', '198.51.100.20/32']);
  await namespace.run('ip', ['route', 'add', '203.0.113.7/32', 'dev', 'vethTind', 'proto', '119']);
  await namespace.run('ip', ['neigh', 'add', 'proxy', '203.0.113.8', 'dev', 'eth0', 'protocol', '119']);
  await namespace.run('ip', ['neigh', 'add', 'proxy', '203.0.113.9', 'dev', 'eth0']);
  const { ruleset, routes, neighbourProxies } = await preview();
  expect(ruleset).toMatch(/^\+\t+"vethWeb",$/m);
  expect(routes).toEqual({ add: ['198.51.100.20/32 dev vethWeb'], remove: ['203.0.113.7/32 dev vethTind'] });
  expect(neighbourProxies).toEqual({ add: [], remove: ['203.0.113.8 dev eth0'] });
});

test('status tells rules without a daemon from no rules at all', async () => {
  expect((await live('status')).out).toContain('the kernel holds no rules of ours: nothing is enforced');
  await enforce(live);
  const { out, exitCode } = await live('status');
  expect(exitCode).toBe(1);
  expect(out).toContain('the rules in the kernel stay in force');
  expect(out).toContain('the kernel holds what the files say');
});
