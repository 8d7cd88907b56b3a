/** `masquerade` and `publish` of a policy: whose addresses its container's packets get, and which ports lead to it. */
import { type Address, type Family, familyOf, parseAddress } from '../render/address.ts';
import type { Origin, PortRange } from '../render/rule.ts';
import type { Masquerade, MasqueradeAs, PortedProtocol } from '../render/translation.ts';
import { type CompileContext, type Layer, type PlacedWord, placedWords } from './compile-context.ts';
import type { Path } from './places.ts';
import type { Publication as PublicationText } from './policy.gen.ts';
import { shownFile } from './policy-files.ts';
import { parsePortRange } from './services.ts';

/** Ports that a policy publishes, wherever its container runs. */
export interface CompiledPublication {
  readonly protocol: PortedProtocol;
  readonly ports: PortRange;
  /** The container's own port for the first of them. */
  readonly toPort: number;
  /** Each address once; `uplinks`: every address of the host on its uplinks. */
  readonly on: readonly Address[] | 'uplinks';
  readonly origin: Origin;
}

export interface CompiledNat {
  readonly masquerade: Masquerade;
  /** Where the file says so; present where anything is masqueraded. */
  readonly masqueradeOrigin?: Origin;
  readonly publications: readonly CompiledPublication[];
}

/** Each port is an element of the kernel's map, on each address. */
const MOST_PORTS = 1024;

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
type ProtocolName = keyof typeof PROTOCOLS;
const PROTOCOL_NAMES: readonly ProtocolName[] = ['tcp', 'udp', 'sctp'];

export const protocolName = (protocol: PortedProtocol): ProtocolName =>
  PROTOCOL_NAMES.find((name) => PROTOCOLS[name] === protocol) ?? 'tcp';

/** Nothing at all where no layer asks for any; what is wrong is reported. */
export function compileNat(layers: readonly Layer[], context: CompileContext): { readonly nat?: CompiledNat } {
  const decisive = layers.find(({ policy }) => policy.masquerade !== undefined);
  const masquerade = decisive === undefined ? {} : compileMasquerade(decisive, context);
  const publications = layers.flatMap((layer) => compilePublications(layer, context));
  const isMasqueraded = Object.keys(masquerade).length > 0;
  if (!isMasqueraded && publications.length === 0) return {};
  const masqueradeOrigin =
    decisive !== undefined && isMasqueraded ? { masqueradeOrigin: originAt(decisive, ['masquerade'], 'key') } : {};
  return { nat: { masquerade, ...masqueradeOrigin, publications } };
}

const originAt = ({ document }: Layer, path: Path, part?: 'key'): Origin => ({
  file: shownFile(document.file),
  ...document.placeOf(path, part),
});

const BY_UPLINK: MasqueradeAs = { kind: 'uplink' };

function compileMasquerade({ document, policy }: Layer, { report }: CompileContext): Masquerade {
  const { masquerade: said = false } = policy;
  if (typeof said === 'boolean') return said ? { 4: BY_UPLINK, 6: BY_UPLINK } : {};
  const found: Partial<Record<Family, MasqueradeAs>> = {};
  for (const { text, path } of placedWords(said, ['masquerade'])) {
    const word = masqueradeWord(text);
    if (typeof word === 'string') report(document.problemAt(path, word));
    else if (found[word.family] !== undefined)
      report(document.problemAt(path, `"${text}": IPv${word.family} has its address already`));
    else found[word.family] = word.as;
  }
  return found;
}

function masqueradeWord(text: string): { readonly family: Family; readonly as: MasqueradeAs } | string {
  if (text === 'ipv4' || text === 'ipv6') return { family: text === 'ipv4' ? 4 : 6, as: BY_UPLINK };
  const address = parseAddress(text);
  if (/^(yes|on|y)$/i.test(text)) return `"${text}" is no address: did you mean true?`;
  if (address === undefined) return `"${text}" is no address: write true, ipv4, ipv6, or an address of this host`;
  const why = unusable(address);
  return why === undefined ? { family: familyOf(address), as: { kind: 'address', address } } : `"${text}" is ${why}`;
}

/** Addresses that mean something else on each host or link. */
function unusable(address: Address): string | undefined {
  if (/^127\.|^::1$/.test(address)) return 'a loopback address, which is only the host itself';
  if (/^0\.|^::$/.test(address)) return 'no address that packets can have';
  if (/^(22[4-9]|23\d)\.|^ff/.test(address)) return 'a multicast address';
  return /^fe[89ab]/.test(address) ? 'a link-local address, which is never routed' : undefined;
}

function compilePublications(layer: Layer, context: CompileContext): CompiledPublication[] {
  const known: CompiledPublication[] = [];
  for (const [index, text] of (layer.policy.publish ?? []).entries()) {
    const path: Path = ['publish', index];
    const fault = (at: Path, message: string): undefined => void context.report(layer.document.problemAt(at, message));
    const publication = compilePublication(text, path, layer, fault);
    if (publication === undefined || text.enabled === false) continue;
    const twin = known.find((other) => overlap(other, publication));
    if (twin === undefined) known.push(publication);
    else fault(path, `${shownPorts(publication)} is published in line ${twin.origin.line} already`);
  }
  return known;
}

function compilePublication(
  text: PublicationText,
  path: Path,
  layer: Layer,
  fault: (at: Path, message: string) => undefined,
): CompiledPublication | undefined {
  const [name, ...more] = PROTOCOL_NAMES.filter((key) => text[key] !== undefined);
  if (name === undefined || more.length > 0) {
    const given = name === undefined ? 'names no port' : `names ${[name, ...more].join(' and ')}`;
    return fault(path, `the publication ${given}: it needs exactly one of tcp, udp and sctp`);
  }
  const ports = parsePortRange(String(text[name]));
  if (typeof ports === 'string') return fault([...path, name], ports);
  const count = ports.last - ports.first + 1;
  if (count > MOST_PORTS)
    return fault(
      [...path, name],
      `${count} ports are too many: publish at most ${MOST_PORTS}, or give the container an address of its own`,
    );
  const to = text.to === undefined ? ports : parsePortRange(String(text.to));
  if (typeof to === 'string') return fault([...path, 'to'], to);
  const wanted = to.last - to.first + 1;
  if (wanted > 1 && wanted !== count)
    return fault(
      [...path, 'to'],
      `${wanted} ports can't stand for ${count}: write ${to.first}-${to.first + count - 1}, or its first port alone`,
    );
  if (to.first + count - 1 > 65535)
    return fault([...path, 'to'], `${count} ports from ${to.first} on end behind 65535`);
  const on = text.on === undefined ? 'uplinks' : addressesIn(placedWords(text.on, [...path, 'on']), fault);
  if (on === undefined) return undefined;
  return { protocol: PROTOCOLS[name], ports, toPort: to.first, on, origin: originAt(layer, path) };
}

function addressesIn(
  words: readonly PlacedWord[],
  fault: (at: Path, message: string) => undefined,
): Address[] | undefined {
  const found = new Set<Address>();
  for (const { text, path } of words) {
    const address = parseAddress(text);
    if (address === undefined) return fault(path, `"${text}" is no address: write one of this host's`);
    const why = unusable(address);
    if (why !== undefined)
      return fault(path, `"${text}" is ${why}: publish on an address of the host, which the host itself reaches too`);
    found.add(address);
  }
  return [...found];
}

function overlap(a: CompiledPublication, b: CompiledPublication): boolean {
  const [one, other] = [a.on, b.on];
  const same =
    one === 'uplinks' || other === 'uplinks' ? one === other : one.some((address) => other.includes(address));
  return same && a.protocol === b.protocol && a.ports.first <= b.ports.last && b.ports.first <= a.ports.last;
}

/** `tcp/8080`, `udp/5000-5010` */
export const shownPorts = ({ protocol, ports }: Pick<CompiledPublication, 'protocol' | 'ports'>): string =>
  `${protocolName(protocol)}/${ports.first === ports.last ? ports.first : `${ports.first}-${ports.last}`}`;
