/** The daemon on a bus of its own: what others can read, who may change, and what harms it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
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

describe('the interface', () => {
  test('is read by busctl', async () => {
    const { stdout, exitCode } = await busctl('introspect', NAME, OBJECT);
    expect(exitCode).toBe(0);
    for (const method of ['Status', 'List', 'Check', 'Preview', 'Explain', 'Admit', 'Release']) {
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
    const [list, check, status] = [await bus.call('List'), await bus.call('Check'), await bus.call('Status')];
    expect(JSON.parse(list)).toEqual(JSON.parse((await routewall.cli('list', '--json')).stdout));
    expect(JSON.parse(check)).toEqual(JSON.parse((await routewall.cli('check', '--json')).stdout));
    expect(JSON.parse(status)).toMatchObject({ pid: routewall.daemon.child().pid, containers: [{ container: 'web' }] });
    expect(JSON.parse(await bus.call('Preview'))).toMatchObject({ changed: false });
    const asked = ['--from', 'host', '--to', 'container:web', 'tcp/80', '--json'];
    const explained = await bus.call('Explain', 'sss', 'host', 'container:web', 'tcp/80');
    expect(JSON.parse(explained)).toEqual(JSON.parse((await routewall.cli('explain', ...asked)).stdout));
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
    [['Explain', 's', 'host'], 'Explain takes "sss", not "s"'],
    [['Admit', 'ssu', '../etc', '', '0'], 'is not among the LXC paths'],
    [['Admit', 'ssu', 'nobody', '', '0'], '/nobody/config'],
    [['Admit', 'ssu', 'web', 'a b', '0'], 'no name that nft can carry'],
    [['Admit', 'ssu', 'web', 'eth0', '0'], "doesn't show eth0 as a veth of this container's"],
    [['Admit', 'ssu', 'web', 'veth-none', '0'], "doesn't show veth-none"],
    [['Explain', 'sss', 'hst', 'host', 'ssh'], 'neither container:NAME, nor host, nor an address'],
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
