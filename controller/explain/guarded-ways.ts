/** Which addresses lie behind an interface that the guard shuts, as containers of other programs do: only routes tell. */
import { type Address, parseAddress } from '../../render/address.ts';
import type { Run } from '../commands/run.ts';
import { readForeignWay } from '../kernel/observe-uplinks.ts';
import { type FlowHost, isGuarded, sourceSide } from './flow-sides.ts';

/** Asks for nothing where the guard shuts no interface but containers'. A way that the kernel doesn't tell is none. */
export async function readGuardedWays(
  run: Run,
  host: FlowHost,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<ReadonlyMap<Address, string>> {
  if (!shutsStrangers(host)) return new Map();
  const addresses = [from, to].flatMap((text) => parseAddress(text) ?? []).filter((address) => isBeyond(host, address));
  const ways = await Promise.all(
    addresses.map(async (address) => {
      const devs = await readForeignWay(run, address);
      return [...devs].filter((dev) => isGuarded(host, dev)).map((dev) => [address, dev] as const);
    }),
  );
  return new Map(ways.flat());
}

function shutsStrangers(host: FlowHost): boolean {
  const claimed = new Set<string>([...host.desired.nics.values()].map(({ hostVeth }) => hostVeth));
  return [...host.network.links.values()].some(
    ({ name, master }) => !claimed.has(name) && master === undefined && isGuarded(host, name),
  );
}

function isBeyond(host: FlowHost, address: Address): boolean {
  const side = sourceSide(host, address);
  return side.kind === 'outside' && side.link === undefined;
}
