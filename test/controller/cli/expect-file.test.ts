/** `check --expect-file`: what must hold between any two ends, both of their policies taken together. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

/** What is said of the file, without its name. */
async function judged(...expectations: readonly string[]): Promise<string[]> {
  bed.write('fleet.yaml', `expect:\n${expectations.map((one) => `  - ${one}\n`).join('')}`);
  const { out } = await bed.rw('check --expect-file fleet.yaml --json');
  const problems: readonly { file: string; line: number; column: number; message: string }[] = JSON.parse(out);
  return problems.filter(({ file }) => file === 'fleet.yaml').map((p) => `${p.line}:${p.column}: ${p.message}`);
}

test('what both ends let pass is allowed, and what one of them refuses is not', async () => {
  expect(
    await judged(
      '{ allow: tcp/5432, from: "container:tinderbox", to: "container:db" }',
      '{ allow: [http, https], from: internet, to: "container:web" }',
      '{ allow: [rsync, squid], from: "container:tinderbox", to: host }',
      '{ allow: ssh, from: host, to: "container:web" }',
      '{ drop: ssh, from: [internet, 192.0.2.128/25, "group:farm"], to: "group:farm" }',
      '{ drop: tcp/5432, from: [any, "container:web"], to: ["container:web", "container:tinderbox"] }',
      '{ drop: tcp/25, from: "container:tinderbox", to: any }',
      '{ reject: ssh, from: "container:tinderbox", to: [internet, "container:web"] }',
      '{ drop: any, from: "container:stray", to: any }',
    ),
  ).toEqual([]);
});

test('an exception names both ends, and every rule that let it pass or the one that refused it', async () => {
  expect(
    await judged(
      '{ drop: any, from: "container:tinderbox", to: "group:farm" }',
      '{ allow: http, from: "container:tinderbox", to: "container:web" }',
      '{ allow: icmp/echo-request, from: "container:web", to: "container:tinderbox" }',
      '{ drop: http, from: lan, to: any }',
      '{ allow: rsync, from: "group:farm", to: host }',
    ),
  ).toEqual([
    '2:5: expected drop any from container:tinderbox to group:farm, but tcp/5432 from 198.51.100.10 (tinderbox) to 198.51.100.30 (db) is allowed by tinderbox.yaml:9:7 (allow tcp/5432 to 198.51.100.30, 203.0.113.16/28) and db.yaml:4:7 (allow tcp/5432 from 198.51.100.10)',
    '3:5: expected allow http from container:tinderbox to container:web, but tcp/80 from 198.51.100.10 (tinderbox) to 192.0.2.77 (web) is rejected by tinderbox.yaml:2:3 (default: reject)',
    '4:5: expected allow icmp/echo-request from container:web to container:tinderbox, but icmp4/echo-request from 192.0.2.77 (web) to 198.51.100.10 (tinderbox) is dropped by the default, drop, since no rule matches',
    '5:5: expected drop http from lan to any, but tcp/80 from 192.0.2.0 to 192.0.2.77 (web) is allowed by web.yaml:3:7 (allow tcp/80,443 from any)',
    '6:5: expected allow rsync from group:farm to host, but tcp/873 from 192.0.2.77 (web) to 169.254.0.1 is dropped by the default, drop, since no rule matches',
  ]);
});

test('what no rule of ours decides about can not be expected', async () => {
  expect(await judged('{ drop: any, from: internet, to: host }')).toEqual([
    '2:5: drop any from internet to host: no container is at either end, and routewall decides about no other flow',
  ]);
});

test('what a container sends to itself never leaves it; to its twin beside it, it does', async () => {
  bed.write('lxc/twin/config', 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 198.51.100.51/24\n');
  bed.write('lxc/same/config', 'lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 198.51.100.50/24\n');
  const text = 'egress: { default: allow }\ningress: { default: allow }\n';
  for (const name of ['twin', 'same']) bed.write(`pol/containers/${name}.yaml`, text);
  expect(await judged('{ drop: ssh, from: "container:twin", to: "container:twin" }')).toEqual([]);
  expect((await judged('{ drop: ssh, from: [198.51.100.50/31], to: [198.51.100.50/31] }')).join()).toContain(
    'but tcp/22 from 198.51.100.51 (twin) to 198.51.100.50 (same) is allowed by twin.yaml:1:11 (default: allow)',
  );
});

test('mistakes have their place and what would be right', async () => {
  expect(
    await judged('{ drop: ssh, to: host }', '{ from: any, to: host }', '{ drop: ssh, from: "container:wep", to: any }'),
  ).toEqual(['2:5: the expectation has no "from"', '3:5: the expectation needs one of allow, drop, reject']);
  expect(await judged('{ drop: ssh, from: "container:wep", to: any }')).toEqual([
    '2:24: unknown container "wep": did you mean "container:web"?',
  ]);
  expect(await bed.rw('check --expect-file nothing.yaml')).toMatchObject({
    exitCode: 2,
    err: 'routewall: nothing.yaml: there is no such file\n',
  });
});

test('the count is told, and the answer is the exit status', async () => {
  bed.write('fleet.json', '{ "expect": [{ "drop": "tcp/25", "from": "group:farm", "to": "internet" }] }');
  const fine = await bed.rw('check pol/containers/web.yaml --expect-file fleet.json');
  expect(fine).toMatchObject({ exitCode: 0, out: '1 file and 1 expectation checked: no errors, no warnings\n' });
  bed.write('fleet.json', '{ "expect": [{ "allow": "tcp/25", "from": "group:farm", "to": "internet" }] }');
  expect((await bed.rw('check --expect-file fleet.json')).exitCode).toBe(1);
});
