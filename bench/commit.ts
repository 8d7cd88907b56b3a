/**
 * What one container's start costs on a host with many: putting inputs together, the difference, and nft's commit
 * through the resident channel. Prints a table; needs root. `node scripts/bench.mjs commit`
 */
import { createAssembler, type HostInputs } from '../controller/assemble.ts';
import { openNftChannel } from '../controller/nft-channel.ts';
import { startResident } from '../controller/run.ts';
import { chainHash } from '../policies/chain-hash.ts';
import { defaultConfig } from '../policies/config.ts';
import type { Container, Endpoint } from '../policies/endpoint.ts';
import { parseLinks } from '../policies/host-network.ts';
import { loadPolicies } from '../policies/load-policies.ts';
import { type Address, addressFrom } from '../render/address.ts';
import type { DesiredState } from '../render/desired.ts';
import { NO_NAMES } from '../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../render/names.ts';
import { chainNaming, diffDesired, renderDesired } from '../render/nft.ts';
import { EMPTY_RULESET } from '../render/ruleset.ts';
import { diffRulesets } from '../render/transaction.ts';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import { createNamespace } from '../sandbox/namespace.ts';

const nameOf = chainNaming(chainHash);
const ROUNDS = 60;
const SHARED = 20;

const links = parseLinks([
  { ifname: 'eth0', link_type: 'ether', addr_info: [{ local: '192.0.2.1', prefixlen: 24, scope: 'global' }] },
]);

function containerOf(index: number): Container {
  const id = `/var/lib/lxc/c${String(index).padStart(5, '0')}`;
  // 198.18.0.0/15 is kept for benchmarks, and 2001:db8::/32 for documentation.
  const addresses: Address[] = [
    addressFrom(0xc612_0000n + BigInt(index), 4),
    addressFrom((0x2001_0db8n << 96n) + BigInt(index), 6),
  ];
  const endpoint: Endpoint = {
    key: `${id}/0`,
    index: 0,
    nic: 'eth0',
    addresses,
    routes: [],
    gateways: [],
    fixedVeth: undefined,
    proxiedByLxcOn: undefined,
    places: new Map(),
  };
  return {
    id,
    name: id.slice('/var/lib/lxc/'.length),
    groups: [],
    endpoints: [endpoint],
    file: `${id}/config`,
    problems: [],
  };
}

const policyOf = (port: number, logs: boolean): string =>
  `egress:\n  default: reject\n  log: ${logs}\n  rules:\n    - allow: [dns, https]\n      to: internet\n` +
  `ingress:\n  rules:\n    - allow: tcp/${port}\n      from: any\n    - allow: ssh\n      from: lan\n`;

/** `own`: each container has chains of its own (as with `log`); otherwise 20 policies are shared. */
function inputsOf(count: number, own: boolean): HostInputs {
  const containers = Array.from({ length: count }, (_, index) => containerOf(index));
  const files = containers.map(({ name }, index): [string, string] => [
    `containers/${name}.yaml`,
    policyOf(8000 + (own ? index : index % SHARED), own),
  ]);
  const veths = new Map<string, InterfaceName>();
  for (const [index, { endpoints }] of containers.entries()) {
    const veth = parseInterfaceName(`veth${index}`);
    for (const { key } of endpoints) if (veth !== undefined) veths.set(key, veth);
  }
  return {
    config: defaultConfig,
    loaded: loadPolicies(new Map(files)),
    containers,
    links,
    veths,
    lastGood: new Map(),
    answers: NO_NAMES,
    now: 0,
  };
}

const withoutVeth = (inputs: HostInputs, key: string): HostInputs => {
  const veths = new Map(inputs.veths);
  veths.delete(key);
  return { ...inputs, veths };
};

function median(values: readonly number[], at = 0.5): string {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor(sorted.length * at)] ?? Number.NaN).toFixed(2);
}

async function measure(count: number, own: boolean): Promise<Record<string, string>> {
  const namespace = await createNamespace('bench');
  const channel = openNftChannel(
    (command, args) => startResident('nsenter', [`--net=/run/netns/${namespace.name}`, command, ...args]),
    await makeFolder(),
  );
  const commit = async (commands: readonly string[]): Promise<number> => {
    const start = performance.now();
    const refusal = await channel.commit(commands);
    if (refusal !== undefined) throw new Error(`${refusal.message}: ${refusal.command}`);
    return performance.now() - start;
  };
  const assembler = createAssembler();
  const full = inputsOf(count, own);
  const times = { assemble: [] as number[], diff: [] as number[], start: [] as number[], stop: [] as number[] };
  const begin = performance.now();
  let current: DesiredState = assembler.assemble(full).desired;
  const first = performance.now() - begin;
  const load = await commit(diffRulesets(EMPTY_RULESET, renderDesired(current, nameOf)));
  const step = async (inputs: HostInputs, into: number[]): Promise<void> => {
    const t0 = performance.now();
    const { desired } = assembler.assemble(inputs);
    const t1 = performance.now();
    const commands = diffDesired(current, desired, nameOf);
    times.diff.push(performance.now() - t1);
    times.assemble.push(t1 - t0);
    into.push(await commit(commands));
    current = desired;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const [key = ''] = full.containers[(round * 7919) % count]?.endpoints.map((endpoint) => endpoint.key) ?? [];
    await step(withoutVeth(full, key), times.stop);
    await step({ ...full, veths: new Map(full.veths) }, times.start);
  }
  channel.stop();
  await namespace.destroy();
  return {
    containers: String(count),
    chains: own ? 'own' : 'shared',
    'first assemble': first.toFixed(0),
    'first load': load.toFixed(0),
    assemble: median(times.assemble),
    diff: median(times.diff),
    'commit start': median(times.start),
    p99: median(times.start, 0.99),
    'commit stop': median(times.stop),
  };
}

try {
  const rows: Record<string, string>[] = [];
  for (const own of [false, true]) for (const count of [10, 1_000, 10_000]) rows.push(await measure(count, own));
  console.log('milliseconds; medians of 60 starts and stops');
  console.table(rows);
} finally {
  await cleanUp();
}
