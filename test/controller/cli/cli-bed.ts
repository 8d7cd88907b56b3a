/** A small host on disk, and the command line run on it within the test's own process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runCommandLine } from '../../../controller/cli/program.ts';
import { CommandError, type Run } from '../../../controller/commands/run.ts';

export interface CliResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export interface CliBed {
  readonly folder: string;
  write(file: string, text: string): void;
  /** `folder` as the working directory; `words` are split at blanks. */
  cli(words: string, options?: CliOptions): Promise<CliResult>;
  /** With the policies, LXC path and state of this bed. */
  rw(words: string, options?: CliOptions): Promise<CliResult>;
  /** The same without the state: the containers of this bed don't run on any host. */
  live(words: string, options?: CliOptions): Promise<CliResult>;
  remove(): void;
}

interface CliOptions {
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly run?: Run;
  /** It is unless told. */
  readonly isRoot?: boolean;
}

const noCommands: Run = (command) => Promise.reject(new CommandError(`${command}: not in this test`));

/** Empty. */
export function createCliBed(): CliBed {
  const folder = mkdtempSync(join(tmpdir(), 'routewall-cli-'));
  const write = (file: string, text: string): void => {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const cli: CliBed['cli'] = async (words, { terminal = false, env = {}, run = noCommands, isRoot = true } = {}) => {
    const said = { out: '', err: '' };
    const stream = (name: 'out' | 'err') => ({
      write: (text: string) => {
        said[name] += text;
      },
      isTerminal: terminal,
    });
    const args = words.split(' ').filter((word) => word !== '');
    const io = {
      out: stream('out'),
      err: stream('err'),
      env,
      folder,
      isRoot,
      loadRun: () => Promise.resolve(run),
      loadReader: () => Promise.resolve(run),
    };
    return { exitCode: await runCommandLine(args, io), ...said };
  };
  return {
    folder,
    write,
    cli,
    rw: (words, options) => cli(`${words} --policies pol -P lxc --state state.json`, options),
    live: (words, options) => cli(`${words} --policies pol -P lxc`, options),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

/** `last`: of its addresses 198.51.100.X and 2001:db8:100::X. */
export const lxcConfig = (last: number, ...more: readonly string[]): string =>
  [
    'lxc.group = farm',
    'lxc.net.0.type = veth',
    'lxc.net.0.name = eth0',
    `lxc.net.0.ipv4.address = 198.51.100.${last}/24`,
    'lxc.net.0.ipv4.gateway = 169.254.0.1',
    `lxc.net.0.ipv6.address = 2001:db8:100::${last}`,
    'lxc.net.0.ipv6.gateway = fe80::1',
    ...more,
    '',
  ].join('\n');

const TINDERBOX = `egress:
  default: reject
  rules:
    - allow: [rsync, squid]
      to: host
    - drop: tcp/25
      to: any
      log: true
    - allow: tcp/5432
      to: container:db
ingress:
  rules:
    - allow: icmp/echo-request
      from: [container:web, lan]
`;

const WEB = `ingress:
  rules:
    - allow: [http, https]
      from: any
    - allow: ssh
      from: host
`;

const DB = `routes: 203.0.113.16/28
ingress:
  rules:
    - allow: tcp/5432
      from: container:tinderbox
`;

const link = (name: string, ...addresses: readonly [string, number, string][]) => ({
  ifname: name,
  link_type: name === 'lo' ? 'loopback' : 'ether',
  address: '02:00:00:00:00:01',
  addr_info: addresses.map(([local, prefixlen, scope]) => ({ local, prefixlen, scope })),
});

export const LINKS = [
  link('lo', ['127.0.0.1', 8, 'host'], ['::1', 128, 'host']),
  link('eth0', ['192.0.2.1', 24, 'global'], ['2001:db8:0:1::1', 64, 'global'], ['fe80::ff:fe00:1', 64, 'link']),
];

/** tinderbox and web run, db and stray (which has no policy) don't. */
export function createFarm(): CliBed {
  const bed = createCliBed();
  bed.write('lxc/tinderbox/config', lxcConfig(10));
  const bridged = [
    'lxc.net.1.type = veth',
    'lxc.net.1.link = br0',
    'lxc.net.1.hwaddr = 02:16:3e:00:00:4d',
    'lxc.net.1.ipv4.address = 192.0.2.77/24',
  ];
  bed.write('lxc/web/config', lxcConfig(20, ...bridged));
  bed.write('lxc/db/config', lxcConfig(30));
  bed.write('lxc/stray/config', lxcConfig(40));
  bed.write('pol/containers/tinderbox.yaml', TINDERBOX);
  bed.write('pol/containers/web.yaml', WEB);
  bed.write('pol/containers/db.yaml', DB);
  const containers = {
    tinderbox: { state: 'RUNNING', veths: { eth0: 'vethTind' } },
    web: { state: 'RUNNING', veths: { '0': 'vethWeb', '1': 'vethWebB' } },
  };
  bed.write('state.json', JSON.stringify({ containers, links: LINKS }));
  return bed;
}
