/** Reads what must be gone, and what must be as before, when the last container has stopped. */
import { readXtOwn } from './iptables-state.ts';
import { withoutFilled } from './nft-listing.ts';
import type { Place } from './place.ts';

/** Routes, rules of policy routing, neighbour proxies, set elements and policy chains of routewall's, by nft and by iptables; empty when nothing of a container is left. */
export async function readLeftovers(host: Place): Promise<readonly string[]> {
  const commands: readonly (readonly [string, ...string[]])[] = [
    ['ip', '-4', 'route', 'show', 'table', 'all', 'proto', '119'],
    ['ip', '-6', 'route', 'show', 'table', 'all', 'proto', '119'],
    ['ip', '-4', 'neigh', 'show', 'proxy'],
    ['ip', '-6', 'neigh', 'show', 'proxy'],
  ];
  const outputs = await Promise.all(commands.map(async ([command, ...args]) => (await host.run(command, args)).stdout));
  // ip takes `protocol` for a filter of rules, and shows all of them.
  const rules = await Promise.all(['-4', '-6'].map(async (family) => (await host.run('ip', [family, 'rule'])).stdout));
  return [
    ...rules.flatMap((text) => text.split('\n').filter((line) => line.includes(' proto 119'))),
    ...outputs.flatMap((text) => text.split('\n').filter((line) => line.trim() !== '')),
    ...(await readOwnRules(host)),
    ...(await readOwnTraffic(host)),
  ];
}

/** Limits, the ifbs that they need, and the ends of wires. */
async function readOwnTraffic(host: Place): Promise<string[]> {
  const { stdout } = await host.run('tc', ['qdisc', 'show']);
  return stdout.split('\n').filter((line) => /tbf 119:|dev rwl-|qdisc ingress /.test(line));
}

/**
 * Lines of our tables that only a running container brings: its veth, its addresses, its policy's chains. What packets
 * filled in for a while (limits and counters) decides nothing, and ends by itself.
 */
async function readOwnRules(host: Place): Promise<string[]> {
  const [nft, xt] = await Promise.all([host.run('nft', ['list', 'ruleset']), readXtOwn(host)]);
  const own = nft.stdout.split(/^(?=table )/m).filter((table) => /^table \w+ routewall\b/.test(table));
  return (
    [...own.map(withoutFilled), xt]
      .flatMap((text) => text.split('\n'))
      // The bridge's own network is the host's.
      .map((line) => line.replace(/(198[.]51[.]100[.]128[/]25|2001:db8:200::[/]64)(, )?/, ''))
      .filter((line) => [IN_NFT, IN_IPTABLES, ADDRESSES].some((pattern) => pattern.test(line)))
      .map((line) => line.trim())
  );
}

const IN_NFT = /elements = .*([0-9a-f]{2}:){5}|"veth[A-Za-z0-9]+"|chain (in|e)gress_[0-9a-f]{8}/;
/** A NIC's three chains, and those of policies. */
const IN_IPTABLES = /RW-[CRN]-|RW-[EI]-[0-9a-f]{16}/;
const ADDRESSES = /198[.]51[.]100[.]|192[.]0[.]2[.]20\b|2001:db8:[12]00::|2001:db8:0:1::20\b/;

/** What isn't ours, as text: all other tables, the main table's routes, and addresses. */
export async function readForeignState(host: Place): Promise<string> {
  const { stdout } = await host.run('nft', ['list', 'ruleset']);
  const tables = stdout.split(/^(?=table )/m).filter((table) => !/^table \w+ routewall\b/.test(table));
  // The kernel's own table 'local' is left out: it gains anycast routes when forwarding is turned on.
  const addresses = await host.run('ip', ['-o', 'address']);
  const routes4 = await host.run('ip', ['-4', 'route']);
  const routes6 = await host.run('ip', ['-6', 'route']);
  return [tables.join(''), addresses.stdout, routes4.stdout, routes6.stdout].map((text) => text.trim()).join('\n');
}
