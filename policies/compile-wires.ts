/** The wires of routewall.yaml, as far as both their ends exist; and what is wrong with the others. */
import type { Wire } from '../render/desired.ts';
import { type InterfaceName, type InterfacePattern, matchesAny } from '../render/names.ts';
import type { Container, WiredNic } from './endpoint.ts';
import type { HostNetwork } from './host-network.ts';
import type { Problem } from './problem.ts';
import { closestWord } from './suggest.ts';
import { type ConfiguredWire, describeEnd, type WireEnd } from './wires-config.ts';

export interface WiresInput {
  readonly wires: readonly ConfiguredWire[];
  readonly containers: readonly Container[];
  /** By NIC key: the host-side veths of what runs. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
  readonly network: HostNetwork;
  readonly guard: readonly InterfacePattern[];
}

export interface CompiledWires {
  readonly wires: readonly Wire[];
  readonly problems: readonly Problem[];
}

/** `undefined`: not there now. */
type Found = { readonly dev: InterfaceName | undefined; readonly id: string } | { readonly mistake: string };

export function compileWires(input: WiresInput): CompiledWires {
  const problems: Problem[] = [];
  const taken = new Set<string>();
  const devOf = (end: WireEnd): InterfaceName | undefined => {
    const found = findEnd(end, input);
    const mistake = 'mistake' in found ? found.mistake : taken.has(found.id) ? TWICE : undefined;
    if (mistake !== undefined) {
      problems.push({ ...end.place, message: `"${describeEnd(end)}": ${mistake}`, severity: 'error' });
      return undefined;
    }
    if (end.kind === 'interface' && isAway(end.dev, input.network)) problems.push(away(end));
    if ('id' in found) taken.add(found.id);
    return 'dev' in found ? found.dev : undefined;
  };
  const wires = input.wires.flatMap(({ a, b }): Wire[] => {
    const [first, second] = [devOf(a), devOf(b)];
    if (first === undefined || second === undefined) return [];
    const ofHost = [a, b].flatMap((end) => (end.kind === 'interface' ? [end.dev] : []));
    return [{ name: `${describeEnd(a)} and ${describeEnd(b)}`, a: first, b: second, ofHost }];
  });
  return { wires, problems };
}

/** Where nothing is known of the host's interfaces, of this one neither. */
const isAway = (dev: InterfaceName, { links }: HostNetwork): boolean => links.size > 0 && !links.has(dev);

const away = (end: WireEnd): Problem => ({
  ...end.place,
  message: `"${describeEnd(end)}" is not there at present: nothing passes until it comes`,
  severity: 'warning',
});

const TWICE = 'is the end of two wires: a cable has one plug at each end';

const findEnd = (end: WireEnd, input: WiresInput): Found =>
  end.kind === 'interface' ? findInterface(end.dev, input) : findNic(end.container, end.nic, input);

function findInterface(dev: InterfaceName, { network, containers }: WiresInput): Found {
  const link = network.links.get(dev);
  const global = link?.addresses.find(({ scope }) => scope === 'global');
  if (link?.loopback) return { mistake: 'is the loopback interface' };
  if (link?.master !== undefined) return { mistake: `is a port of ${link.master}` };
  if (global !== undefined)
    return { mistake: `has an address of this host, ${global.address}: a wire's end serves nothing else` };
  const owner = containers.find(({ endpoints, wired = [] }) =>
    [...endpoints, ...wired].some(({ fixedVeth }) => fixedVeth === dev),
  );
  if (owner !== undefined) return { mistake: `is a veth of ${owner.name}'s: name the container's NIC instead` };
  return { id: dev, dev: link === undefined ? undefined : dev };
}

function findNic(name: string, nic: string, { containers, veths, guard }: WiresInput): Found {
  const named = containers.filter((container) => container.name === name);
  const [container] = named;
  if (container === undefined) {
    const closest = closestWord(
      name,
      containers.map((each) => each.name),
    );
    return { mistake: `there is no container ${name}${closest === undefined ? '' : `: did you mean ${closest}?`}` };
  }
  if (named.length > 1) return { mistake: `${named.length} containers are named ${name}` };
  const found = container.wired?.find((each) => isNamed(each, nic));
  if (found === undefined) return { mistake: whyNot(container, nic) };
  const { key, fixedVeth } = found;
  if (fixedVeth === undefined && !matchesAny('veth', guard))
    return { mistake: 'nothing guards it before the wire is up: give it a veth.pair, or put veth* into guard' };
  return { id: key, dev: veths.get(key) };
}

const isNamed = ({ nic, index }: Pick<WiredNic, 'nic' | 'index'>, word: string): boolean =>
  nic === word || String(index) === word;

function whyNot({ name, endpoints, unenforceable = [], unwired = [], wired = [] }: Container, nic: string): string {
  const mistaken = unwired.find((each) => isNamed(each, nic));
  if (mistaken !== undefined) return mistaken.why;
  const all = [...endpoints, ...unenforceable, ...wired].flatMap((each) => each.nic ?? []);
  return `${name} has no NIC ${nic}; it has ${[...new Set(all)].join(', ') || 'none'}`;
}
