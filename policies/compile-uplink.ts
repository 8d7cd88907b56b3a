/** `uplink`, `gateway` and `tables` of a policy: by which interface it leaves, and which tables learn of it. */
import { type Address, familyOf, parseAddress } from '../render/address.ts';
import { type InterfaceName, parseInterfaceName } from '../render/names.ts';
import type { Origin } from '../render/rule.ts';
import { isOwnTable, TABLES } from '../render/uplink.ts';
import { type CompileContext, type Layer, placedWords } from './compile-context.ts';
import type { Path } from './places.ts';
import { shownFile } from './policy-files.ts';

export interface UplinkChoice {
  readonly dev: InterfaceName;
  /** As the policy gives them; for a family without one the uplink's own default route is asked. */
  readonly gateways: readonly Address[];
  readonly origin: Origin;
}

/** What the choice of all of a container's NICs may be overridden by, for one of them. */
interface Section {
  readonly layer: Layer;
  readonly path: Path;
  readonly content: { readonly uplink?: string; readonly gateway?: string | readonly string[] };
}

/** The first that names an uplink decides, with its gateways. */
export function compileUplink(layers: readonly Layer[], context: CompileContext): UplinkChoice | undefined {
  const sections = layers.map((layer): Section => ({ layer, path: [], content: layer.policy }));
  return sections.map((section) => parseSection(section, context)).find((choice) => choice !== undefined);
}

/** `undefined`: as the container. */
export function compileNicUplink(
  nic: string,
  layers: readonly Layer[],
  context: CompileContext,
): UplinkChoice | undefined {
  const sections = layers.flatMap((layer): Section[] => {
    const content = layer.policy.interfaces?.[nic];
    return content === undefined ? [] : [{ layer, path: ['interfaces', nic], content }];
  });
  return sections.map((section) => parseSection(section, context)).find((choice) => choice !== undefined);
}

function parseSection({ layer, path, content }: Section, { report }: CompileContext): UplinkChoice | undefined {
  const { document } = layer;
  const { uplink, gateway } = content;
  if (uplink === undefined) {
    if (gateway !== undefined)
      report(document.problemAt([...path, 'gateway'], '"gateway" is the router behind an uplink: add uplink: eth1'));
    return undefined;
  }
  const dev = parseInterfaceName(uplink);
  const mistake = `"${uplink}" is no interface name: write one such as eth1`;
  if (dev === undefined) report(document.problemAt([...path, 'uplink'], mistake));
  const gateways: Address[] = [];
  for (const word of placedWords(gateway ?? [], [...path, 'gateway'])) {
    const address = parseAddress(word.text);
    const wrong = address === undefined ? undefined : whyNoGateway(address, gateways);
    if (address === undefined) {
      report(document.problemAt(word.path, `"${word.text}" is no address: write the router's, such as 192.0.2.129`));
    } else if (wrong !== undefined) report(document.problemAt(word.path, wrong));
    else gateways.push(address);
  }
  if (dev === undefined) return undefined;
  const place = document.placeOf([...path, 'uplink'], 'key');
  return { dev, gateways, origin: { file: shownFile(document.file), line: place.line } };
}

const SPECIAL = /^(?:0[.]|127[.]|2(?:2[4-9]|[34]\d|5[0-5])[.]|::1?$|ff)/;

function whyNoGateway(address: Address, known: readonly Address[]): string | undefined {
  if (SPECIAL.test(address)) return `${address} is no router's address`;
  const family = familyOf(address);
  return known.some((other) => familyOf(other) === family) ? `a second IPv${family} gateway: one is enough` : undefined;
}

const RESERVED: ReadonlyMap<number, string> = new Map([
  [253, 'default'],
  [254, 'main'],
  [255, 'local'],
]);

/** Of all layers, each once. */
export function compileTables(layers: readonly Layer[], { report }: CompileContext): number[] {
  const tables = new Set<number>();
  for (const { document, policy } of layers) {
    for (const [index, table] of (policy.tables ?? []).entries()) {
      const name = RESERVED.get(table);
      const why =
        name === undefined ? undefined : `${table} is the kernel's own table ${name}: routes are in main anyway`;
      const own = `${table} is one of routewall's own (${TABLES.first} to ${TABLES.first + TABLES.count - 1}): choose another`;
      const mistake = isOwnTable(table) ? own : why;
      if (mistake === undefined) tables.add(table);
      else report(document.problemAt(['tables', index], mistake));
    }
  }
  return [...tables];
}
