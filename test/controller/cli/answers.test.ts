/** list, check, render and explain, offline. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CliBed, createFarm, LINKS, lxcConfig } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

describe('list', () => {
  test('prints the whole of what is known as JSON', async () => {
    const { out, exitCode } = await bed.rw('list --json -n web');
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toEqual([
      {
        container: 'web',
        state: 'RUNNING',
        sealed: false,
        groups: ['farm'],
        policy: { file: 'pol/containers/web.yaml', status: 'ok', observing: null },
        nics: [
          {
            index: 0,
            name: 'eth0',
            type: 'veth',
            kind: 'routed',
            link: null,
            hostVeth: 'vethWeb',
            addresses: ['198.51.100.20/32', '2001:db8:100::20/128'],
            routes: [],
            gateways: ['169.254.0.1', 'fe80::1'],
          },
          {
            index: 1,
            name: '1',
            type: 'veth',
            kind: 'bridged',
            link: 'br0',
            hostVeth: 'vethWebB',
            addresses: ['192.0.2.77/32'],
            routes: [],
            gateways: [],
          },
        ],
        problems: [],
      },
    ]);
  });

  test('tells problems in JSON as check does', async () => {
    bed.write('pol/containers/stray.yaml', 'egres: {}\n');
    const [listed, checked] = [await bed.rw('list --json -n stray'), await bed.rw('check --json -n stray')];
    const [problem] = JSON.parse(checked.out);
    expect(problem).toMatchObject({ line: 1, severity: 'error' });
    expect(JSON.parse(listed.out)[0].problems).toEqual([problem]);
  });

  test('takes a container that the state does not name for stopped, with its policy routes', async () => {
    const { out } = await bed.rw('list --json -n db');
    expect(JSON.parse(out)).toMatchObject([
      { container: 'db', state: 'STOPPED', nics: [{ hostVeth: null, routes: ['203.0.113.16/28'] }] },
    ]);
  });

  test('says closed for a container without a policy, and open where the configuration says so', async () => {
    bed.write('open.yaml', 'withoutPolicy: open\n');
    const closed = await bed.rw('list --json -n stray');
    const open = await bed.rw('list --json -n stray --config open.yaml');
    expect(JSON.parse(closed.out)[0].policy).toEqual({ file: null, status: 'closed', observing: null });
    expect(JSON.parse(open.out)[0].policy).toEqual({ file: null, status: 'open', observing: null });
  });

  test('shows people one line for each NIC, and problems on standard error', async () => {
    bed.write('pol/containers/web.yaml', 'ingres: {}\n');
    const { out, err } = await bed.rw('list');
    expect(out).toMatch(/^CONTAINER +STATE +POLICY/);
    expect(out).toMatch(/\ntinderbox +running +tinderbox.yaml +eth0 +vethTind +198.51.100.10 2001:db8:100::10\n/);
    expect(out).toMatch(/\nweb +running +web.yaml: broken, closed /);
    expect(err).toMatch(/pol\/containers\/web.yaml:1:1: error: .*ingress/);
  });
});

describe('check', () => {
  test.each([
    [
      'pol/containers/stray.txt',
      'not read under this name, and stray has no other policy: call it stray.yaml, or .yml or .json',
    ],
    [
      'pol/containers/stray.YAML',
      'not read under this name, and stray has no other policy: call it stray.yaml, or .yml or .json',
    ],
    [
      'pol/containers/stray',
      'not read under this name, and stray has no other policy: call it stray.yaml, or .yml or .json',
    ],
    ['pol/stray.yaml', 'not read here: the policy of stray belongs into containers/'],
    ['pol/containers/straj.yaml', 'there is no container "straj": did you mean "stray", which has no policy?'],
  ])('warns of a policy that a container goes without: %s', async (file, message) => {
    bed.write(file, '{}\n');
    const { out, exitCode } = await bed.rw('check');
    expect(exitCode).toBe(0);
    expect(out).toContain(`${file}:1:1: warning: ${message}\n`);
    expect(await bed.rw('check -n web')).toMatchObject({ out: expect.stringContaining('no warnings') });
    bed.write('pol/containers/stray.yml', '{}\n');
    expect((await bed.rw('check')).out).toContain('no errors, no warnings');
  });

  test('warns of an LXC path that holds no containers, as it would of a mistyped one', async () => {
    const [there, web] = [`${bed.folder}/lxc`, `${bed.folder}/lxc/web`];
    bed.write('routewall.yaml', `lxcPaths:\n  - ${there}\n  - ${there}s\n  - ${web}\n`);
    const said = [
      `routewall.yaml:3:5: warning: there is no folder ${there}s: no container is looked for there\n`,
      `routewall.yaml:4:5: warning: ${web} is one container's folder: the LXC path is ${there}\n`,
    ].join('');
    expect(await bed.cli('check routewall.yaml')).toEqual({
      ...{ exitCode: 0, err: '' },
      out: `${said}1 file checked: no errors, 2 warnings\n`,
    });
    expect((await bed.cli('check --policies pol --config routewall.yaml')).out).toContain(said);
  });

  test('warns of an uplink that this host does not have, and asks no host for which a state stands in', async () => {
    bed.write('routewall.yaml', 'uplinks:\n  - lo\n  - nosuchlink0\n');
    const said =
      'routewall.yaml:3:5: warning: there is no interface nosuchlink0: until it comes, nobody is lan there, and nothing is masqueraded\n';
    expect(await bed.cli('check routewall.yaml')).toEqual({
      ...{ exitCode: 0, err: '' },
      out: `${said}1 file checked: no errors, 1 warning\n`,
    });
    const { out } = await bed.cli('check --policies pol -P lxc --state state.json --config routewall.yaml');
    expect(out).not.toContain('nosuchlink0');
    bed.write('routewall.yaml', 'uplinks: nosuchlink0\n');
    expect((await bed.cli('check routewall.yaml')).out).toMatch(
      /^routewall.yaml:1:10: warning: there is no interface /,
    );
  });

  test('warns where the folder of all policies is gone, or has another name', async () => {
    renameSync(join(bed.folder, 'pol/containers'), join(bed.folder, 'pol/container'));
    const { out, exitCode } = await bed.rw('check');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^pol\/containers:1:1: warning: there is no such folder: no container has a policy$/m);
  });

  test('complains neither of backups nor of policies for containers to come, and names those', async () => {
    for (const name of ['containers/web.yaml.bak', 'containers/web.txt', 'containers/later.yaml', 'web.yaml'])
      bed.write(`pol/${name}`, '{}\n');
    expect((await bed.rw('check')).out).toMatch(
      /: no errors, no warnings\npolicy files for no container here: later[.]yaml\n$/,
    );
    expect((await bed.rw('check -n web')).out).not.toContain('later');
    bed.write('empty/containers/later.yaml', '{}\n');
    expect((await bed.cli('check --policies pol -P empty')).out).not.toContain('later');
  });

  test('is content with a good host', async () => {
    expect(await bed.rw('check')).toEqual({
      exitCode: 0,
      out: '3 policy files and 4 containers checked: no errors, no warnings\n',
      err: '',
    });
  });

  test('names the lines that ask for what the configured backend can not do', async () => {
    bed.write('routewall.yaml', 'backend: iptables\n');
    bed.write('pol/containers/db.yaml', 'masquerade: true\npublish: [{ tcp: 8080, to: 80 }]\nuplink: eth0\n');
    bed.write('pol/containers/stray.yaml', 'egress:\n  rules:\n    - allow: proto/0\n      to: any\n');
    const { out, exitCode } = await bed.rw('check --config routewall.yaml');
    for (const line of [
      'db.yaml:1:1: error: masquerade',
      'db.yaml:2:11: error: publish',
      'db.yaml:3:',
      'stray.yaml:3:',
    ])
      expect(out).toContain(`pol/containers/${line}`);
    expect(out).toMatch(/lxc\/web\/config:1:1: error: NIC 1 hangs on a bridge/);
    expect(exitCode).toBe(1);
    bed.write('routewall.yaml', '');
    expect((await bed.rw('check --config routewall.yaml')).out).not.toContain('iptables');
  });

  test('tells every error of configuration, policies and LXC at once, with its place', async () => {
    bed.write('routewall.yaml', 'guards: []\n');
    bed.write('pol/containers/web.yaml', 'ingress:\n  rules:\n    - allow: htp\n      from: any\n');
    bed.write('pol/profiles/unused.yaml', 'egress: 7\n');
    bed.write('lxc/db/config', lxcConfig(20));
    const { out, exitCode } = await bed.rw('check --config routewall.yaml');
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^pol\/containers\/web.yaml:3:14: error: unknown service "htp"/m);
    expect(out).toMatch(/^routewall.yaml:1:1: error: .*guard/m);
    expect(out).toMatch(/^pol\/profiles\/unused.yaml:1:9: error: /m);
    expect(out).toMatch(/lxc\/db\/config:4:1: error: 198.51.100.20 belongs to container web/);
  });

  test('prints the same as JSON', async () => {
    bed.write('pol/containers/web.yaml', 'ingress:\n  rules:\n    - allow: htp\n      from: any\n');
    const { out, exitCode } = await bed.rw('--json check');
    expect(exitCode).toBe(1);
    expect(JSON.parse(out)).toEqual([
      {
        file: 'pol/containers/web.yaml',
        line: 3,
        column: 14,
        message: expect.stringContaining('unknown service "htp"'),
        severity: 'error',
      },
    ]);
  });

  test('points at the column on a terminal', async () => {
    bed.write('pol/containers/web.yaml', 'ingress:\n  rules:\n    - allow: htp\n      from: any\n');
    const { out } = await bed.rw(`check ${bed.folder}/pol/containers/web.yaml --no-color`, { terminal: true });
    expect(out).toContain('    3 |     - allow: htp\n      |              ^\n');
  });

  test('warns of rules that can never match, in all files, in one container, and in a file named', async () => {
    const path = 'pol/containers/web.yaml';
    bed.write(path, 'ingress:\n  rules:\n    - drop: any\n      from: any\n    - allow: ssh\n      from: lan\n');
    const warning = /web.yaml:5:7: warning: this rule can never match: web.yaml:3 takes all that it is for/;
    for (const words of ['check', 'check -n web', `check ${path}`]) {
      const { out, exitCode } = await bed.rw(words);
      expect(out).toMatch(warning);
      expect(out).toMatch(/: no errors, 1 warning$/m);
      expect(exitCode).toBe(0);
    }
    expect((await bed.rw('check -n tinderbox')).out).not.toMatch(warning);
  });

  test('checks what it can where the host cannot be asked for its addresses, which explain needs', async () => {
    bed.write('pol/routewall.yaml', 'backend: nftables\n');
    const given = '--policies pol -P lxc --config pol/routewall.yaml';
    const checked = await bed.cli(`check ${given}`);
    expect(checked).toMatchObject({ exitCode: 0, out: expect.stringMatching(/4 containers checked: no errors/) });
    expect(checked.err).toMatch(/^conflicts with this host's addresses are not checked: ip: not in this test$/m);
    const explained = await bed.cli(`explain ${given} --from container:web --to 203.0.113.80 tcp/443`);
    expect(explained).toMatchObject({ exitCode: 3, out: '', err: expect.stringContaining('ip: not in this test') });
  });

  test('checks just the files named, by their folder, by their name, or as a policy', async () => {
    bed.write('pol/containers/db.yaml', 'ingres: {}\n');
    bed.write('draft.yaml', 'egress:\n  rules:\n    - allow: ssh\n      to: container:wbe\n');
    bed.write('other/routewall.yaml', 'uplinks: 7\n');
    bed.write('other/sets/bad.txt', '192.0.2.300\n');
    expect((await bed.rw('check pol/containers/web.yaml')).exitCode).toBe(0);
    expect((await bed.rw('check draft.yaml')).out).toMatch(/^draft.yaml:4:11: error: unknown container "wbe"/);
    expect((await bed.rw('check other/routewall.yaml')).out).toMatch(/^other\/routewall.yaml:1:10: error/);
    expect((await bed.rw('check other/sets/bad.txt')).out).toMatch(/^other\/sets\/bad.txt:1:1: error/);
    expect((await bed.rw('check lxc/web/config')).exitCode).toBe(0);
    expect((await bed.rw('check nowhere.yaml')).exitCode).toBe(2);
  });
});

describe('render', () => {
  test('gives the same text each time, whatever the order of the state', async () => {
    const first = await bed.rw('render');
    const veths = { web: { veths: { '1': 'vethWebB', eth0: 'vethWeb' } }, tinderbox: { veths: { eth0: 'vethTind' } } };
    bed.write('state.json', JSON.stringify({ links: LINKS, containers: veths }));
    expect((await bed.rw('render')).out).toBe(first.out);
    expect(first).toMatchObject({ exitCode: 0, err: '' });
    expect(first.out).toContain('"vethTind" . 198.51.100.10,');
    expect(first.out).toContain('\nroute replace 198.51.100.20/32 dev vethWeb proto 119 metric 4096\n');
  });

  test('prints parts of it, and all of it as JSON', async () => {
    const nft = (await bed.rw('render --what nft')).out;
    const routing = (await bed.rw('render --what routing')).out;
    const json = JSON.parse((await bed.rw('render --json')).out);
    expect(nft.split('\n').slice(1).join('\n')).toBe(json.ruleset);
    expect(routing.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual(json.routing);
    expect(json.sysctls).toContainEqual({
      key: 'net/ipv6/conf/all/forwarding',
      value: '1',
      reason: 'IPv6 forwards on all interfaces or on none',
    });
  });

  test('goes on without a broken policy, and says so', async () => {
    bed.write('pol/containers/web.yaml', 'ingres: {}\n');
    const { exitCode, out, err } = await bed.rw('render');
    expect(exitCode).toBe(1);
    expect(out).toContain('"vethTind" : goto egress_');
    expect(err).toContain('pol/containers/web.yaml:1:1: error');
  });

  test('prints the rules for another backend, and refuses one that it does not know', async () => {
    const { exitCode, out } = await bed.rw('render --what rules --backend iptables-nft');
    expect(exitCode).toBe(0);
    expect(out).toMatch(/^iptables-nft-restore --noflush -w <<'END-OF-RULES'/m);
    expect((await bed.rw('render --what nft --backend iptables')).out).toContain('table inet routewall');
    expect(JSON.parse((await bed.rw('render --json')).out)).toMatchObject({ backend: 'nftables' });
    expect(await bed.rw('render --backend pf')).toMatchObject({ exitCode: 2 });
  });
});

describe('explain', () => {
  test('gives the verdict and each rule with its place and text', async () => {
    const { out, exitCode } = await bed.rw('explain --from container:tinderbox --to host tcp/873 --json');
    expect(exitCode).toBe(0);
    const { answers, lastGood, ...first } = JSON.parse(out);
    expect(answers).toMatchObject([first, { verdict: 'allow', family: 6, source: '2001:db8:100::10' }]);
    expect(lastGood).toEqual([]);
    expect(first).toEqual({
      verdict: 'allow',
      from: 'container:tinderbox',
      to: 'host',
      service: 'tcp/873',
      family: 4,
      source: '198.51.100.10',
      destination: '192.0.2.1',
      steps: [
        {
          at: 'anti-spoofing of tinderbox',
          verdict: 'allow',
          rule: { file: `${bed.folder}/lxc/tinderbox/config`, line: 4, text: '198.51.100.10 is its own' },
        },
        {
          at: 'egress of tinderbox',
          verdict: 'allow',
          rule: { file: 'pol/containers/tinderbox.yaml', line: 4, text: '- allow: [rsync, squid]' },
        },
      ],
    });
  });

  test.each([
    ['http', ['allow 4', 'drop 6']],
    ['dns', ['allow 4', 'drop 4', 'drop 6', 'drop 6']],
  ])('JSON has all answers, and the exit status is about them all: %s', async (service, expected) => {
    bed.write('pol/containers/web.yaml', 'ingress: { rules: [{ allow: [http, tcp/53], from: 0.0.0.0/0 }] }\n');
    const asked = `explain --from host --to container:web ${service}`;
    const { out, exitCode } = await bed.rw(`${asked} --json`);
    const answers: { verdict: string; family: number }[] = JSON.parse(out).answers;
    expect(answers.map(({ verdict, family }) => `${verdict} ${family}`)).toEqual(expected);
    expect(JSON.parse(out)).toMatchObject({ ...answers[0], lastGood: [] });
    expect(exitCode).toBe(1);
    expect((await bed.rw(asked)).exitCode).toBe(1);
    expect((await bed.rw(`${asked.replace('dns', 'tcp/53')} -4 --json`)).exitCode).toBe(0);
  });

  test('answers for both families, with whole rules, and for a stopped container as if it ran', async () => {
    const { out, exitCode } = await bed.rw('explain --from container:tinderbox --to container:db tcp/5432');
    expect(exitCode).toBe(0);
    expect(out).toContain('allow  tcp/5432  tinderbox (198.51.100.10) → db (198.51.100.30)\n');
    expect(out).toContain('allow  tcp/5432  tinderbox (2001:db8:100::10) → db (2001:db8:100::30)\n');
    expect(out).toMatch(/ingress of db +allow: tcp\/5432 {2}from: container:tinderbox +pol\/containers\/db.yaml:4\n/);
  });

  test('says no with exit status 1', async () => {
    const { out, exitCode } = await bed.rw('explain --from container:tinderbox --to 203.0.113.9 dns -4');
    expect(exitCode).toBe(1);
    expect(out).toMatch(/^reject {2}(tcp|udp)\/53 {2}tinderbox \(198.51.100.10\) → 203.0.113.9$/m);
    expect(out).toMatch(/✗ egress of tinderbox +default: reject +pol\/containers\/tinderbox.yaml:2/);
  });

  test('names what is wrong with a peer or a service', async () => {
    const ask = async (words: string) => {
      const { exitCode, err } = await bed.rw(`explain ${words}`);
      return `${exitCode} ${err}`;
    };
    expect(await ask('--from container:tinderbx --to host ssh')).toMatch(/^2 .*did you mean "tinderbox"\?/);
    expect(await ask('--from web --to host ssh')).toMatch(/^2 .*did you mean container:web\?/);
    expect(await ask('--from host --to 192.0.2.0/24 ssh')).toMatch(/^2 .*name one address/);
    expect(await ask('--from internet --to container:web ssh')).toMatch(
      /^2 .*--from internet is many addresses; name one/,
    );
    expect(await ask('--from group:farm --to host ssh')).toMatch(/^2 .*--from group:farm is many addresses; name one/);
    expect(await ask('--from fe80::1%eth0 --to host ssh')).toMatch(/^2 .*address: write .* without its zone, %eth0$/m);
    expect(await ask('--from 203.0.113.9 --to 2001:db8::1 ssh')).toBe(
      '2 routewall: --from 203.0.113.9 and --to 2001:db8::1 are of two families: no packet has both\n',
    );
    expect(await ask('--from host --to container:web any')).toMatch(/^2 .*such as tcp\/80/);
    expect(await ask('--from host --to container:web squd')).toMatch(/^2 .*did you mean "squid"\?/);
    expect(await ask('--from host ssh')).toMatch(/^2 .*--to/);
  });
});
