/** `--state FILE`: what would otherwise be asked of the live host. */
import { readFile } from 'node:fs/promises';
import { type HostLink, parseLinks } from '../../policies/host-network.ts';
import { whyUnread } from '../../policies/read-file.ts';
import type { DefaultRoute } from '../../policies/uplink-facts.ts';
import { type Address, parseAddress } from '../../render/address.ts';
import { type DnsAddresses, type DnsName, parseDnsName } from '../../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../../render/names.ts';
import { asList, asObject, asOneOf, asText, at, entriesOf, type Placed, parseJson, ShapeError } from '../json-shape.ts';
import { parseDefaultRoute } from '../kernel/observe-uplinks.ts';
import { CliError, EXIT } from './exit.ts';

export interface StateFile {
  /** By container name, or by `LXCPATH/CONTAINER` where two share a name. */
  readonly containers: ReadonlyMap<string, StateContainer>;
  readonly links: readonly HostLink[];
  /** What DNS told, by name. */
  readonly answers: DnsAddresses;
  /** What `ip -j -N route show table all default` prints of both families. */
  readonly defaults: readonly DefaultRoute[];
}

export interface StateContainer {
  /** As LXC says it. */
  readonly state: string;
  /** By the NIC's name or index. */
  readonly veths: ReadonlyMap<string, InterfaceName>;
}

const STATES = ['STOPPED', 'STARTING', 'RUNNING', 'STOPPING', 'ABORTING', 'FREEZING', 'FROZEN', 'THAWED'] as const;

/** @throws CliError that names the place in the file. */
export async function readStateFile(file: string): Promise<StateFile> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new CliError(EXIT.usage, `--state ${file}: ${whyUnread(cause)}`, { cause });
  });
  try {
    return parseStateFile(text);
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    throw new CliError(EXIT.no, `${file}: ${cause.message}`, { cause });
  }
}

/** @throws ShapeError */
export function parseStateFile(text: string): StateFile {
  const top = asObject(parseJson(text));
  for (const key of Object.keys(top)) {
    if (!['containers', 'links', 'dns', 'routes'].includes(key))
      throw new ShapeError(`${key}: unknown; known are containers, links, dns and routes`);
  }
  const containers = entriesOf(at(top, 'containers', '')).map(([name, entry]): [string, StateContainer] => [
    name,
    parseContainer(entry),
  ]);
  return {
    containers: new Map(containers),
    links: parseStateLinks(at(top, 'links', '')),
    answers: parseDnsAnswers(at(top, 'dns', '')),
    defaults: parseStateRoutes(at(top, 'routes', '')),
  };
}

function parseContainer(of: Placed): StateContainer {
  const object = asObject(of);
  const veths = entriesOf(at(object, 'veths', of.path)).map(([nic, entry]): [string, InterfaceName] => {
    const name = parseInterfaceName(asText(entry));
    if (name === undefined) throw new ShapeError(`${entry.path}: ${JSON.stringify(entry.value)} is no interface name`);
    return [nic, name];
  });
  const state = at(object, 'state', of.path);
  const implied = veths.length > 0 ? 'RUNNING' : 'STOPPED';
  return { state: state.value === undefined ? implied : asOneOf(state, STATES), veths: new Map(veths) };
}

/** `{ "deb.debian.org": ["203.0.113.80"] }`; a name that is missing has no answer. @throws ShapeError */
export function parseDnsAnswers(of: Placed): DnsAddresses {
  const answers = entriesOf(of).map(([text, list]): [DnsName, Address[]] => {
    const name = parseDnsName(text);
    if (name === undefined) throw new ShapeError(`${list.path}: no DNS name`);
    return [name, asList(list).map(parseAnswer)];
  });
  return new Map(answers);
}

function parseAnswer(of: Placed): Address {
  const address = parseAddress(asText(of));
  if (address === undefined) throw new ShapeError(`${of.path}: ${JSON.stringify(of.value)} is no address`);
  return address;
}

/** The next hop tells the family. @throws ShapeError */
export function parseStateRoutes(of: Placed): DefaultRoute[] {
  return of.value === undefined ? [] : asList(of).flatMap((route) => parseDefaultRoute(asObject(route)));
}

/** What `ip -j address` prints; a link without a name, or with an address that isn't one, would be left out in silence. */
function parseStateLinks(of: Placed): HostLink[] {
  if (of.value === undefined) return [];
  for (const link of asList(of)) {
    const object = asObject(link);
    asText(at(object, 'ifname', link.path));
    const addresses = at(object, 'addr_info', link.path);
    if (addresses.value === undefined) continue;
    for (const address of asList(addresses)) asObject(address);
  }
  return parseLinks(of.value);
}
