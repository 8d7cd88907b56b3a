/** `routewall import`: files, exit statuses, and nothing written over or beside the folder. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CliBed, createFarm } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
  bed.write(
    '101.fw',
    '[OPTIONS]\nenable: 1\n[IPSET friends]\n192.0.2.0/24\n[RULES]\nIN SSH(ACCEPT) -source +friends\n',
  );
});
afterEach(() => bed.remove());

const written = (file: string): string => readFileSync(join(bed.folder, file), 'utf8');

test('prints a policy that check takes', async () => {
  const { exitCode, out, err } = await bed.cli('import proxmox 101.fw');
  expect([exitCode, err]).toEqual([0, '']);
  bed.write('draft.yaml', out);
  expect((await bed.rw('check draft.yaml')).out).toMatch(/no errors, no warnings/);
});

test('writes policy and sets below a folder, where check takes them together', async () => {
  const first = await bed.cli('import proxmox 101.fw -n web -o draft');
  expect(first).toEqual({ exitCode: 0, out: 'draft/containers/web.yaml\ndraft/sets/friends.txt\n', err: '' });
  expect(written('draft/containers/web.yaml')).toContain('from: set:friends');
  expect((await bed.cli('check --policies draft -P lxc --state state.json')).exitCode).toBe(0);
});

test('writes over nothing without --force, and then nothing at all', async () => {
  bed.write('draft/sets/friends.txt', '192.0.2.1\n');
  const refused = await bed.cli('import proxmox 101.fw -n web -o draft');
  expect(refused).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('draft/sets/friends.txt') });
  expect(written('draft/sets/friends.txt')).toBe('192.0.2.1\n');
  expect(existsSync(join(bed.folder, 'draft/containers'))).toBe(false);
  expect((await bed.cli('import proxmox 101.fw -n web -o draft --force')).exitCode).toBe(0);
  expect(written('draft/sets/friends.txt')).toContain('192.0.2.0/24');
});

test('says with its line what no policy can say, and ends with 1', async () => {
  bed.write('acl.yaml', 'ingress:\n- action: allow\n  protocol: tcp\n  source_port: "20"\n');
  const { exitCode, out, err } = await bed.cli('import incus acl.yaml');
  expect(exitCode).toBe(1);
  expect(err).toMatch(/^acl.yaml:2:3: warning: left out, so it allows less: no policy can say source ports\n$/);
  expect(out).toMatch(/ingress:\n {2}default: reject\n$/);
});

test('keeps names that lead out of the folder from becoming files', async () => {
  bed.write(
    '102.fw',
    '[OPTIONS]\nenable: 1\n[IPSET ../../evil]\n192.0.2.0/24\n[group ../evil]\nIN DROP\n[group good]\nIN DROP\n',
  );
  const { exitCode, out, err } = await bed.cli('import proxmox 102.fw -o draft/inner');
  expect([exitCode, out]).toEqual([1, 'draft/inner/profiles/good.yaml\n']);
  expect(err).toMatch(/102.fw:3:1: warning: \[ipset ..\/..\/evil\] has no valid name/);
  expect(await bed.cli('import proxmox 101.fw -n ../up -o draft')).toMatchObject({ exitCode: 2 });
});

test("takes a cluster's file apart into profiles and sets, and says where they go", async () => {
  bed.write('cluster.fw', '[IPSET banned]\n203.0.113.0/24\n[group web]\nIN Web(ACCEPT)\n');
  expect(await bed.cli('import proxmox cluster.fw')).toMatchObject({
    exitCode: 2,
    err: expect.stringContaining('-o DIR'),
  });
  expect((await bed.cli('import proxmox cluster.fw -o draft')).out).toBe(
    'draft/profiles/web.yaml\ndraft/sets/dc.banned.txt\n',
  );
  const { out } = await bed.cli('import proxmox 101.fw --json');
  expect(Object.keys(JSON.parse(out).files)).toEqual(['containers/101.yaml', 'sets/friends.txt']);
});

test.each([
  ['import nftables 101.fw', /choices? .*incus, proxmox/i],
  ['import proxmox nowhere.fw', /nowhere.fw: there is no such file/],
  ['import proxmox 101.fw --cluster nowhere.fw', /nowhere.fw: there is no such file/],
])('%s is wrong usage', async (words, message) => {
  const { exitCode, err } = await bed.cli(words);
  expect(exitCode).toBe(2);
  expect(err).toMatch(message);
});

test("makes no policy of what is no file of Proxmox'", async () => {
  bed.write(
    'nftables.conf',
    'table inet filter {\n  chain forward { type filter hook forward priority 0; policy drop; }\n}\n',
  );
  expect(await bed.cli('import proxmox nftables.conf')).toEqual({
    exitCode: 1,
    out: '',
    err: 'nftables.conf:1:1: error: no firewall file of Proxmox: it has no section, such as [RULES]\n',
  });
});
