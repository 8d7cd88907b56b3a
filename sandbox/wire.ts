/** A wire between two namespaces: a veth pair with names and addresses. */
import { eventually } from './eventually.ts';
import { type Namespace, setSysctls } from './namespace.ts';
import { run } from './run.ts';

export interface WireEnd {
  readonly namespace: Namespace;
  /** The interface's name there. */
  readonly name: string;
  /** With prefix length, both families. */
  readonly addresses: readonly string[];
}

/** Both ends are up and their addresses usable when it returns. */
export async function createWire(left: WireEnd, right: WireEnd): Promise<void> {
  // From within: until Linux 6.12 at least, a name that the machine itself has is refused to who asks from there.
  const far = ['peer', 'name', right.name, 'netns', right.namespace.name];
  await run('ip', ['-n', left.namespace.name, 'link', 'add', 'name', left.name, 'type', 'veth', ...far]);
  for (const side of [left, right]) await setUp(side);
  for (const side of [left, right]) await eventually(`${side.name} is ready`, () => isReady(side));
}

/** The kernel may tell IPv6 up to a second late that there is a carrier; until then a neighbour gets no answer, `nodad` or not. */
async function isReady({ namespace, name }: WireEnd): Promise<boolean> {
  const { stdout } = await run('ip', ['-n', namespace.name, '-6', '-o', 'address', 'show', 'dev', name]);
  return !stdout.includes(' tentative');
}

async function setUp({ namespace, name, addresses }: WireEnd): Promise<void> {
  // The link-local address too shall be usable at once; only here, so that other interfaces behave as on a real host.
  await setSysctls(namespace, { [`net/ipv6/conf/${name}/accept_dad`]: '0' });
  const lines = addresses.map(
    (address) => `address add ${address} dev ${name}${address.includes(':') ? ' nodad' : ''}`,
  );
  await runIp(namespace, [...lines, `link set ${name} up`]);
}

/** Lines of `ip -batch`, in that namespace. */
export async function runIp(namespace: Namespace, lines: readonly string[]): Promise<void> {
  await run('ip', ['-n', namespace.name, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
