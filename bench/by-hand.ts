/** The change that one container's start makes, by fork and without a daemon: what users would write instead. */
import { createNamespace, type Namespace } from '../sandbox/namespace.ts';
import type { Routewall } from '../test/lxc/routewall.ts';

const CHANGE = [
  'veths { "vbench" }',
  'owned4 { "vbench" . 198.51.100.99 }',
  'owned6 { "vbench" . 2001:db8:9::99 }',
  'held4 { 198.51.100.99 }',
  'held6 { 2001:db8:9::99 }',
];
const LINES = [
  ['address', '169.254.0.1/32 dev vbench'],
  ['route', '198.51.100.99 dev vbench metric 9'],
  ['route', '2001:db8:9::99 dev vbench metric 9'],
  ['neigh', 'proxy 198.51.100.99 dev eth0'],
  ['neigh', 'proxy 2001:db8:9::99 dev eth0'],
] as const;

/** A namespace with the same ruleset, which no daemon looks at, and a veth to route to. */
export async function makeTwin({ bed: { host } }: Routewall): Promise<Namespace> {
  const twin = await createNamespace('twin');
  const tables = await Promise.all(
    ['inet', 'arp'].map((family) => host.run('nft', ['-s', 'list', 'table', family, 'routewall'])),
  );
  await twin.run('nft', ['-f', '-'], { input: tables.map(({ stdout }) => stdout).join('\n'), timeout: 120_000 });
  for (const words of [
    'link add vbench up type veth peer name vpeer',
    'link set vpeer up',
    'link add eth0 up type veth',
  ])
    await twin.run('ip', words.split(' '));
  return twin;
}

export interface ByHand {
  /** One `nft -f` and one `ip -batch`. */
  readonly forks: number[];
  /** A shell that runs one `ip` for each route, gateway and proxy, as lxc-routednet does. */
  readonly shellHook: number[];
}

/** Elements, then routes, gateway and proxies, and all of it away again. */
export async function timeByHand(twin: Namespace, into: ByHand): Promise<void> {
  const elements = (verb: string): string => CHANGE.map((text) => `${verb} element inet routewall ${text}`).join('\n');
  const lines = (verb: string): string[] => LINES.map(([object, words]) => `${object} ${verb} ${words}`);
  const nft = () => twin.run('nft', ['-f', '-'], { input: elements('add') });
  const remove = async (): Promise<void> => {
    await twin.run('ip', ['-batch', '-'], { input: `${lines('del').reverse().join('\n')}\n` });
    await twin.run('nft', ['-f', '-'], { input: elements('delete') });
  };
  into.forks.push(
    await timed(async () => {
      await nft();
      await twin.run('ip', ['-batch', '-'], { input: `${lines('add').join('\n')}\n` });
    }),
  );
  await remove();
  const script = lines('add').map((line) => `ip ${line}`);
  into.shellHook.push(await timed(() => twin.run('sh', ['-c', script.join('\n')])));
  await nft();
  await remove();
}

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
