/** The line that lets a container's packets past another program's chain, in the words of whoever keeps that chain. */
import type { JsonObject } from '../json-shape.ts';
import type { ForeignChain } from './foreign-ruleset.ts';
import type { ForeignDrop } from './judge-packet.ts';

/** An accept there opens nothing of ours: our chains stand before, and decide first. `veth`: a name, or one that ends in `*`. */
export function mendOf({ chain }: ForeignDrop, all: readonly ForeignChain[], veth: string): string {
  const beside = all.filter(({ table, program }) => table === chain.table && program === chain.program);
  if (chain.table === 'inet firewalld') return mendFirewalld(veth);
  if (leadsToUfw(chain)) return mendUfw(chain, veth);
  if (chain.program !== undefined || isIptables(chain)) return mendIptables(chain, beside, veth);
  const keys = keysOf(chain, ['iifname', 'oifname']);
  return `nft '${keys.map((key) => `insert rule ${chain.table} ${chain.name} ${key} "${veth}" accept`).join('; ')}'`;
}

/** Its rules in another hook let nothing pass here. */
const leadsToUfw = ({ rules }: ForeignChain): boolean =>
  rules.some((rule) => rule.some(({ jump }) => isObject(jump) && String(jump['target']).startsWith('ufw')));

const isObject = (value: unknown): value is JsonObject => typeof value === 'object' && value !== null;

/** By which side of the packet's way the chain knows the container. */
function keysOf<T>({ base }: ForeignChain, [incoming, outgoing]: readonly [T, T]): T[] {
  switch (base?.hook) {
    case 'input':
    case 'prerouting':
      return [incoming];
    case 'output':
    case 'postrouting':
      return [outgoing];
    default:
      return [incoming, outgoing];
  }
}

const plus = (veth: string): string => veth.replace(/\*$/, '+');

/** A zone for what comes from containers, and a policy for what goes to them: zones alone say nothing of forwarding between them. */
function mendFirewalld(veth: string): string {
  const between = (policy: string, ingress: string, egress: string): string[] => [
    `--new-policy=${policy}`,
    `--policy=${policy} --set-target=ACCEPT`,
    `--policy=${policy} --add-ingress-zone=${ingress}`,
    `--policy=${policy} --add-egress-zone=${egress}`,
  ];
  const zone = 'routewall';
  const lasting = [
    `--new-zone=${zone}`,
    `--zone=${zone} --set-target=ACCEPT`,
    `--zone=${zone} --add-interface=${plus(veth)}`,
    ...between('from-containers', zone, 'ANY'),
    ...between('to-containers', 'ANY', zone),
  ];
  return [...lasting.map((words) => `firewall-cmd --permanent ${words}`), 'firewall-cmd --reload'].join(' && ');
}

function mendUfw(chain: ForeignChain, veth: string): string {
  const name = plus(veth);
  if (chain.base?.hook === 'forward') return `ufw route allow in on ${name} && ufw route allow out on ${name}`;
  return keysOf(chain, [`ufw allow in on ${name}`, `ufw allow out on ${name}`]).join(' && ');
}

/** iptables-nft's, whose rules nft can tell as well. */
const isIptables = ({ table, base }: ForeignChain): boolean =>
  /^ip6? (filter|nat|mangle|raw|security)$/.test(table) && base !== null;

function mendIptables({ table, name, program }: ForeignChain, beside: readonly ForeignChain[], veth: string): string {
  const [family, tableName = 'filter'] = table.split(' ');
  const command = program ?? (family === 'ip6' ? 'ip6tables' : 'iptables');
  // Docker asks this one first, and never writes it.
  const docker = beside.some((chain) => chain.name === 'DOCKER-USER');
  const into = name === 'FORWARD' && docker ? 'DOCKER-USER' : name;
  const option = tableName === 'filter' ? '' : ` -t ${tableName}`;
  const base = beside.find((chain) => chain.name === name);
  return keysOf(base ?? { table, name, base: null, rules: [] }, ['-i', '-o'])
    .map((side) => `${command}${option} -I ${into} ${side} ${plus(veth)} -j ACCEPT`)
    .join(' && ');
}
