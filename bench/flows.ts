/**
 * What the flow model costs: two policies compared and told in words, and the whole of `routewall preview` of one edit,
 * as a process, against a kernel that holds all containers. Needs root and dist/.
 * `node scripts/bench.mjs flows [CONTAINERS] [PREVIEWS]`
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Run, run } from '../controller/commands/run.ts';
import { describeFlows } from '../controller/explain/describe-changes.ts';
import { readFlowChanges } from '../controller/explain/flow-changes.ts';
import { previewProblems } from '../controller/explain/shadow-warnings.ts';
import { hostAddresses } from '../controller/host/host-addresses.ts';
import { compareWithKernel, readKernel } from '../controller/kernel/kernel-comparison.ts';
import { createAssembler } from '../controller/pass/assemble.ts';
import { changeLines } from '../policies/flows/change-lines.ts';
import { compareChains } from '../policies/flows/compare-chains.ts';
import { peerNames } from '../policies/flows/peer-names.ts';
import { serviceNames } from '../policies/flows/service-names.ts';
import type { PolicyChain } from '../render/rule.ts';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../sandbox/namespace.ts';
import { runIp } from '../sandbox/wire.ts';
import { median, quantile, report } from './report.ts';
import { addressesOf, inputsOf, vethOf } from './synthetic.ts';

const RULES = 200;
const ROUNDS = 50;
const CONTAINERS = Number(process.argv[2] ?? 10_000);
const PREVIEWS = Number(process.argv[3] ?? 7);
const SHARED = 20;
/** The container whose policy is edited. */
const EDITED = Math.floor(CONTAINERS / 2);
const PROGRAM = join(process.cwd(), 'dist/routewall.mjs');

/** Ranges of ports and prefixes that overlap, in both families, to several verdicts. */
function rule(index: number): string {
  const verdict = ['allow', 'allow', 'drop', 'reject'][index % 4] ?? 'allow';
  const first = 1000 + ((index * 37) % 4000);
  const services = [`tcp/${first}-${first + 100}`, `udp/${first}`, 'icmp/echo-request', 'ssh', 'sctp/3868'][
    (index * 7) % 5
  ];
  const third = (index * 13) % 256;
  const peers = ['internet', `203.0.${third}.0/25`, `"2001:db8:${third.toString(16)}::/48"`, 'lan', 'container:c00007'];
  return `    - { ${verdict}: [${services}], from: ${peers[(index * 3 + (index >> 3)) % 5]} }\n`;
}

const policy = (rules: readonly string[]): string => `ingress:\n  default: reject\n  rules:\n${rules.join('')}`;

function compared(what: string, before: string, after: string): string[] {
  const host = inputsOf(CONTAINERS, (index) => (index === 0 ? before : index === 1 ? after : 'egress: {}\n'));
  const assembled = createAssembler().assemble(host);
  const [old, next] = [...assembled.desired.nics.values()].map(({ ingress }) => ingress);
  if (old === undefined || next === undefined) throw new Error('no chains');
  const facts = (): Parameters<typeof compareChains>[2] => hostAddresses(assembled);
  const words = (one: PolicyChain, other: PolicyChain, addresses = facts()): number => {
    const { sets, services } = host.loaded;
    const names = { peers: peerNames(addresses, assembled.book, sets), services: serviceNames(services) };
    return changeLines(compareChains(one, other, addresses), names).length;
  };
  const addresses = facts();
  const times = { compare: [] as number[], words: [] as number[] };
  let lines = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    compareChains(old, next, addresses);
    const middle = performance.now();
    lines = words(old, next, addresses);
    times.compare.push(middle - start);
    times.words.push(performance.now() - middle);
  }
  return [what, String(lines), ...shown(times.compare), ...shown(times.words)];
}

const shown = (times: readonly number[]): string[] => [median(times).toFixed(1), quantile(times, 0.99).toFixed(1)];

/** LXC's files, the policies, and what stands in for LXC's word on what runs. */
async function writeHost(folder: string): Promise<void> {
  const indices = Array.from({ length: CONTAINERS }, (_, index) => index);
  await mkdir(join(folder, 'policies/containers'), { recursive: true });
  for (const index of indices) {
    const name = nameOf(index);
    const [four, six] = addressesOf(index);
    const lines = [
      'type = veth',
      'flags = up',
      'name = eth0',
      `ipv4.address = ${four}/32`,
      `ipv6.address = ${six}/128`,
    ];
    await mkdir(join(folder, 'lxc', name), { recursive: true });
    await writeFile(join(folder, 'lxc', name, 'config'), lines.map((line) => `lxc.net.0.${line}\n`).join(''));
    await writeFile(join(folder, 'policies/containers', `${name}.yaml`), shared(index % SHARED));
  }
  const containers = indices.map((index) => [nameOf(index), { state: 'RUNNING', veths: { eth0: vethOf(index) } }]);
  const links = [
    { ifname: 'eth0', link_type: 'ether', addr_info: [{ local: '192.0.2.1', prefixlen: 24, scope: 'global' }] },
  ];
  await writeFile(join(folder, 'state.json'), JSON.stringify({ containers: Object.fromEntries(containers), links }));
}

const nameOf = (index: number): string => `c${String(index).padStart(5, '0')}`;

const shared = (port: number): string =>
  `egress:\n  default: reject\n  rules:\n    - { allow: [dns, https], to: internet }\n` +
  `ingress:\n  rules:\n    - { allow: tcp/${8000 + port}, from: any }\n    - { allow: ssh, from: lan }\n`;

async function previewed(): Promise<string[][]> {
  const folder = await makeFolder();
  await writeHost(folder);
  const namespace = await createNamespace('flows');
  await runIp(namespace, [
    'link add eth0 type veth peer name other',
    'link set eth0 up',
    'address add 192.0.2.1/24 dev eth0',
  ]);
  const files = ['--policies', join(folder, 'policies'), '-P', join(folder, 'lxc')];
  const routewall = async (...words: readonly string[]): Promise<string> => {
    const args = [PROGRAM, ...words, ...files, '--state', join(folder, 'state.json')];
    return (await namespace.run(process.execPath, args)).stdout;
  };
  const { ruleset } = JSON.parse(await routewall('render', '--json'));
  await namespace.run('nft', ['-f', '-'], { input: ruleset });
  await writeFile(join(folder, 'policies/containers', `${nameOf(EDITED)}.yaml`), shared(SHARED));
  const command = await timed(() => routewall('preview'));
  const daemon = await inDaemon(namespace);
  await namespace.destroy();
  await rm(folder, { recursive: true });
  const among = `of one edit among ${CONTAINERS.toLocaleString('en')} containers`;
  return [
    [`a preview ${among}, by itself`, '', '', '', ...shown(command)],
    [`a preview ${among}, by the daemon`, '', '', '', ...shown(daemon)],
  ];
}

/** What a daemon does that has known all for long, without the words on the bus. */
async function inDaemon(namespace: Namespace): Promise<number[]> {
  const inside: Run = (command, args, options) =>
    run('nsenter', [`--net=/run/netns/${namespace.name}`, command, ...args], options);
  const assembler = createAssembler();
  const inputs = inputsOf(CONTAINERS, (index) => shared(index % SHARED));
  assembler.assemble(inputs);
  const edited = inputsOf(CONTAINERS, (index) => shared(index === EDITED ? SHARED : index % SHARED));
  const loaded = { ...edited.loaded };
  return timed(async () => {
    const assembled = assembler.assemble({ ...inputs, loaded });
    const comparison = await compareWithKernel(inside, assembled.desired, readKernel(inside, 'nftables'));
    const changes = readFlowChanges(comparison, assembled, loaded, inputs.now);
    const { words } = describeFlows(changes, []);
    const problems = previewProblems(inputs, assembled, inputs.containers, changes);
    if (words.length + problems.length === 0) throw new Error('nothing was found');
  });
}

async function timed(work: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < PREVIEWS; round += 1) {
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return times;
}

try {
  const rules = Array.from({ length: RULES }, (_, index) => rule(index));
  const others = Array.from({ length: RULES }, (_, index) => rule(index + 500));
  await report('flows', {
    title: 'The flow model: what a change opens and closes',
    about: `Milliseconds. Two policies of ${RULES} rules each are compared ${ROUNDS} times on a host with ${CONTAINERS.toLocaleString('en')} containers, and told in words; a preview, ${PREVIEWS} times, is the whole command without a daemon, or what a daemon does for it.`,
    command: `node scripts/bench.mjs flows ${CONTAINERS} ${PREVIEWS}`,
    columns: ['what', 'lines', 'compare', 'its p99', 'all', 'its p99'],
    rows: [
      compared('one rule less', policy(rules), policy(rules.filter((_, index) => index !== 3))),
      compared('the order turned round', policy(rules), policy(rules.toReversed())),
      compared('all others', policy(rules), policy(others)),
      ...(await previewed()),
    ],
  });
} finally {
  await cleanUp();
}
