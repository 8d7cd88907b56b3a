/** The daemon on a bus of its own: what others can read, who may change, and what harms it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { runIp } from '../../sandbox/wire.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../lxc/routewall.ts';
import { NAME, NOBODY, OBJECT, startBus, type TestBus } from './system-bus.ts';

let bus: TestBus;
let routewall: Routewall;

beforeAll(async () => {
  bus = await startBus();
  routewall = await startRoutewall({ env: bus.env });
  await routewall.daemon.waitForLog(/D-Bus: serving/);
  await routewall.addContainer('web', { policy: OPEN, lines: nic(['198.51.100.10']) });
  await eventually('the container is known', async () => (await bus.call('List')).includes('"container":"web"'));
});
afterAll(cleanUp);

const busctl = (...words: readonly string[]) => bus.run(['busctl', '--auto-start=no', ...words]);
const callIt = (...words: readonly string[]) => busctl('call', NAME, OBJECT, NAME, ...words);

const METHODS = [
  'Status',
  'List',
  'Check',
  'Preview',
  'Compare',
  'Explain',
  'Apply',
  'Confirm',
  'Rollback',
  'Panic',
  'Admit',
  'Release',
];

describe('the interface', () => {
  test('is read by busctl', async () => {
    const { stdout, exitCode } = await busctl('introspect', NAME, OBJECT);
    expect(exitCode).toBe(0);
    for (const method of METHODS) {
      expect(stdout).toMatch(new RegExp(`^\\.${method} +method`, 'm'));
    }
    for (const signal of ['ContainerAdmitted', 'ContainerRefused', 'PolicyApplied', 'DriftRepaired', 'ProblemRaised']) {
      expect(stdout).toMatch(new RegExp(`^\\.${signal} +signal`, 'm'));
    }
    expect(stdout).toMatch(/^\.ContainerCount +property +u +1 /m);
  });

  test('is read by gdbus, from the root down', async () => {
    const words = ['introspect', '--system', '--dest', NAME, '--object-path', '/', '--recurse'] as const;
    const { stdout, stderr } = await bus.run(['gdbus', ...words]);
    expect(stderr).toBe('');
    expect(stdout).toContain(`interface ${NAME} {`);
    expect(stdout).toContain('readonly u ProblemCount = 0;');
  });

  test('answers as the command line does', async () => {
    const [list, check, status] = [
      await bus.call('List'),
      await bus.call('Check', 'as', '0'),
      await bus.call('Status'),
    ];
    expect(JSON.parse(list)).toEqual(JSON.parse((await routewall.cli('list', '--json')).stdout));
    expect(JSON.parse(check)).toMatchObject({ problems: [], policyFiles: 1, containers: 1 });
    expect(JSON.parse(status)).toMatchObject({ pid: routewall.daemon.child().pid, containers: [{ container: 'web' }] });
    expect(JSON.parse(await bus.call('Preview', 'as', '0'))).toMatchObject({ changed: false, flows: [] });
    const { backend, difference } = JSON.parse((await routewall.cliAlone('status', '--json')).stdout);
    expect(JSON.parse(await bus.call('Compare'))).toEqual({ backend, ...difference });
    const asked = ['--from', 'host', '--to', 'container:web', 'tcp/80', '--json'];
    const explained = await bus.call('Explain', 'sssus', 'host', 'container:web', 'tcp/80', '0', '');
    const { answers, lastGood } = JSON.parse((await routewall.cli('explain', ...asked)).stdout);
    expect(JSON.parse(explained)).toMatchObject({ answers, lastGood });
  });
});

describe('who may do what', () => {
  test('anyone whom the bus lets through may read', async () => {
    const { stdout } = await bus.run(['busctl', 'call', NAME, OBJECT, NAME, 'List'], { user: NOBODY });
    expect(stdout).toContain('web');
  });

  test.each([
    ['Admit', 'ssu', 'web', '', '0'],
    ['Release', 'ss', 'web', 'veth0'],
    ['Apply', 'u', '0'],
    ['Confirm'],
    ['Rollback', 'u', '0'],
    ['Panic', 'bas', 'false', '0'],
  ])('only root may call %s', async (...words) => {
    const { stderr, exitCode } = await bus.run(['busctl', 'call', NAME, OBJECT, NAME, ...words], { user: NOBODY });
    expect({ stderr, exitCode }).toEqual({ stderr: 'Call failed: Access denied', exitCode: 1 });
  });

  test('nobody changes a property, root neither', async () => {
    const { stderr } = await busctl('set-property', NAME, OBJECT, NAME, 'Version', 's', 'other');
    expect(stderr).toContain('Version can only be read');
    expect((await busctl('get-property', NAME, OBJECT, NAME, 'Version')).stdout).not.toContain('other');
  });
});

describe('errors', () => {
  test.each([
    [['Nothing'], 'there is no method Nothing'],
    [['Explain', 's', 'host'], 'Explain takes "sssus", not "s"'],
    [['Check', 'as', '1', 'x'.repeat(5_000)], 'containers: longer than 4096 characters'],
    [['Admit', 'ssu', '../etc', '', '0'], 'is not among the LXC paths'],
    [['Admit', 'ssu', 'nobody', '', '0'], '/nobody/config'],
    [['Admit', 'ssu', 'web', 'a b', '0'], 'no name that nft can carry'],
    [['Admit', 'ssu', 'web', 'eth0', '0'], "doesn't show eth0 as a veth of this container's"],
    [['Admit', 'ssu', 'web', 'veth-none', '0'], "doesn't show veth-none"],
    [['Confirm'], 'nothing waits for a confirmation'],
    [['Apply', 'u', '86401'], 'can be waited for 1 to 86400 seconds'],
    [['Rollback', 'u', '4711'], 'revision 4711'],
    [['Explain', 'sssus', 'hst', 'host', 'ssh', '0', ''], 'neither container:NAME, nor host, nor an address'],
  ])('%j is told what is wrong, and nothing of our insides', async (words, expected) => {
    const { stderr, exitCode } = await callIt(...words);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(expected);
    expect(stderr).not.toMatch(/\.ts|\.mjs|\bat /);
  });

  test.each([
    ['/', 'org.example.None', 'A', 'there is no interface'],
    ['/nowhere', NAME, 'Status', 'there is no object /nowhere'],
    [OBJECT, 'org.freedesktop.DBus.Properties', 'Nope', 'there is no method Nope'],
    ['/nowhere', 'org.freedesktop.DBus.Introspectable', 'Introspect', 'there is no object /nowhere'],
  ])('%s %s.%s is refused', async (path, iface, member, expected) => {
    expect((await busctl('call', NAME, path, iface, member)).stderr).toContain(expected);
  });
});

describe('signals', () => {
  test('tell of admissions, problems, new policies and repairs, and properties follow', async () => {
    const heard = await bus.listen();
    const container = await routewall.addContainer('told', { policy: OPEN, lines: nic(['198.51.100.30']) });
    await routewall.start(container);
    await heard.waitForLine(/"ContainerAdmitted".*"told",\["veth/);
    await heard.waitForLine(/"PropertiesChanged".*"EnforcedCount":\{"type":"u","data":1\}/);
    await routewall.writePolicy('containers/told.yaml', 'egress: { default: reject }\n');
    await heard.waitForLine(/"PolicyApplied".*\["told"\]/);
    await routewall.writePolicy('containers/told.yaml', 'egress: { defualt: reject }\n');
    await heard.waitForLine(/"ProblemRaised".*"error","containers\/told\.yaml:1:11/);
    await heard.waitForLine(/"PropertiesChanged".*"ProblemCount":\{"type":"u","data":1\}/);
    await routewall.bed.host.run('nft', ['flush', 'chain', 'inet', 'routewall', 'forward_from']);
    await heard.waitForLine(/"DriftRepaired".*forward/);
    await heard.stop();
  });
});

describe('the command line', () => {
  const QUESTIONS: readonly (readonly [string, ...string[]])[] = [
    ['list'],
    ['list', '--json'],
    ['list', '-n', 'web'],
    ['list', '-n', 'wbe'],
    ['check'],
    ['check', '--json'],
    ['check', '-n', 'broken'],
    ['check', '-n', 'wbe'],
    ['preview'],
    ['preview', '--json', '--exit-code'],
    ['preview', '-n', 'web'],
    ['preview', '-n', 'wbe'],
    ['explain', '--from', 'host', '--to', 'container:web', 'tcp/80'],
    ['explain', '--from', 'host', '--to', 'container:two', 'tcp/80', '-6'],
    ['explain', '--from', 'container:two', '--to', '203.0.113.80', 'tcp/81', '--json'],
    ['explain', '--from', 'container:web', '--to', 'host', 'icmp/echo-request', '--source', '198.51.100.99'],
    ['explain', '--from', '203.0.113.80', '--to', 'container:broken', 'tcp/80'],
    ['explain', '--from', 'container:wbe', '--to', 'host', 'ssh'],
    ['explain', '--from', 'host', '--to', 'container:web', 'tcp/eighty'],
  ];

  const WAITING: typeof QUESTIONS = [
    ['status'],
    ['list'],
    ['check'],
    ['preview', '--exit-code'],
    ['explain', '--from', 'host', '--to', 'container:two', 'tcp/80'],
  ];

  /** A question may itself be the reason for a pass. */
  const withoutClock = ({ stdout, ...rest }: Awaited<ReturnType<Routewall['cli']>>) => ({
    ...rest,
    stdout: stdout.replace(/last enforced [-\d]+ [:\d]+ UTC/, ''),
  });

  async function expectSameAnswers(questions: typeof QUESTIONS): Promise<void> {
    for (const words of questions) {
      const [told, alone] = [await routewall.cli(...words), await routewall.cliAlone(...words)].map(withoutClock);
      expect([words, told]).toEqual([words, alone]);
    }
  }

  beforeAll(async () => {
    const broken = { policy: OPEN, lines: nic(['198.51.100.11']) };
    const two = {
      policy:
        'egress:\n  rules:\n    - allow: [tcp/80,\n        tcp/81]\n      to: internet\ningress: { default: reject }\n',
      lines: nic(['198.51.100.12', '2001:db8:100::12']),
    };
    await routewall.start(await routewall.addContainer('broken', broken));
    await routewall.start(await routewall.addContainer('two', two));
    await routewall.writePolicy('containers/broken.yaml', 'egress:\n  defualt: allow\n');
  });

  test('says the same whether the daemon tells it or not', async () => {
    await expectSameAnswers(QUESTIONS);
  });

  test('says the same of what lies behind an interface that the guard shuts', async () => {
    const { host } = routewall.bed;
    await runIp(host, [
      'link add vethother type veth peer name otherend',
      'link set vethother up',
      'link set otherend up',
      'route add 203.0.113.99/32 dev vethother',
    ]);
    const question = ['explain', '--from', '203.0.113.99', '--to', 'container:web', 'tcp/80'] as const;
    await eventually('the interface is known', async () =>
      (await routewall.cli(...question)).stdout.includes('vethother is guarded'),
    );
    await expectSameAnswers([question]);
    await runIp(host, ['link del vethother']);
  });

  test('says the same of files that wait for apply, which the bus takes as well', async () => {
    await routewall.writePolicy('../routewall.yaml', 'autoApply: false\n');
    await eventually('edits wait', async () => JSON.parse(await bus.call('Status')).revision.autoApply === false);
    await routewall.writePolicy('containers/two.yaml', 'ingress: { rules: [{ allow: tcp/80, from: any }] }\n');
    // `status` is what a pass came to; the others read what was saved before them.
    await eventually('it is seen', async () => JSON.parse(await bus.call('Status')).revision.reason === 'apply');
    await expectSameAnswers(WAITING);
    const { words } = JSON.parse(await bus.call('Preview', 'as', '1', 'two'));
    expect(words).toContainEqual({ text: expect.stringMatching(/^two: from any http now allowed/), opens: true });
    const applied = JSON.parse(await bus.call('Apply', 'u', '60'));
    expect(applied).toMatchObject({ changed: true, words, unconfirmed: { revision: applied.inForce } });
    expect(JSON.parse(await bus.call('Confirm'))).toMatchObject({ inForce: applied.inForce, unconfirmed: null });
    const back = JSON.parse(await bus.call('Rollback', 'u', '0'));
    expect(back).toMatchObject({ changed: true, inForce: applied.inForce + 1 });
    await routewall.writePolicy('../routewall.yaml', '');
  });

  test('seals containers when root says so', async () => {
    const on = JSON.parse(await bus.call('Panic', 'bas', 'true', '1', 'two'));
    expect(on).toMatchObject({ all: null, containers: [{ container: 'two', by: 'root' }], changed: true });
    await expectSameAnswers([
      ['list', '--json'],
      ['preview', '--json'],
      ['explain', '--from', 'host', '--to', 'container:two', 'tcp/80', '--json'],
    ]);
    expect(JSON.parse(await bus.call('Status')).panic).toEqual({ all: null, containers: on.containers, damaged: null });
    expect((await callIt('Panic', 'bas', 'true', '1', 'twoo')).stderr).toContain('did you mean "two"?');
    const off = JSON.parse(await bus.call('Panic', 'bas', 'false', '1', 'two'));
    expect(off).toEqual({ all: null, containers: [], damaged: null, changed: true });
  });

  test('asks the daemon, and not one of other files or of another network', async () => {
    const heard = await bus.listen('method_call');
    const asked = (): number => heard.lines.filter((line) => /"member":"(List|Explain)"/.test(line)).length;
    await routewall.cli('list');
    await eventually('the call was heard', async () => asked() === 1);
    const elsewhere = routewall.command(['list']).map((word) => (word === routewall.policyFolder ? '/etc' : word));
    await routewall.bed.host.run(elsewhere[0] ?? '', elsewhere.slice(1), { env: routewall.env });
    await routewall.cli('list', '-P', '/etc');
    const env = Object.entries(routewall.env).map(([key, value]) => `${key}=${value}`);
    const { stdout } = await bus.run(['unshare', '--net', 'env', ...env, ...routewall.command(['list'])]);
    expect(stdout).toContain('web');
    await routewall.cli('explain', '--from', 'host', '--to', 'container:web', 'ssh');
    await eventually('the next call was heard', async () => asked() > 1);
    expect(asked()).toBe(2);
    await heard.stop();
  });

  test('knows what was saved a moment ago', async () => {
    for (let port = 1; port <= 10; port += 1) {
      const policy = `ingress:\n  rules:\n    - allow: tcp/${port}\n      from: any\n`;
      await routewall.writePolicy('containers/web.yaml', policy);
      const { stdout } = await routewall.cli(
        'explain',
        '--from',
        '203.0.113.80',
        '--to',
        'container:web',
        `tcp/${port}`,
      );
      expect(stdout).toContain(`allow: tcp/${port}`);
      await routewall.writePolicy('containers/web.yaml', policy.replace('tcp/', 'tpc/'));
      expect((await routewall.cli('check')).stdout).toContain(`tpc/${port}`);
    }
    await routewall.writePolicy('containers/web.yaml', OPEN);
  });
});
