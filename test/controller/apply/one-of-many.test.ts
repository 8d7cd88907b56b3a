/** What one container's start costs doesn't grow with the others: from its veth to nft's text nobody looks at them. */
import { expect, test } from 'vitest';
import { createAssembler } from '../../../controller/pass/assemble.ts';
import { enforcedCount } from '../../../controller/status/enforced-count.ts';
import { chainHash } from '../../../policies/chain-hash.ts';
import type { InterfaceName } from '../../../render/names.ts';
import { chainNaming, diffDesired } from '../../../render/nft.ts';
import { changeMap } from '../../../render/shared-map.ts';
import { changedDevices } from '../../../render/traffic.ts';
import { TestHost } from '../../policies/compile-host.ts';
import { interfaceName } from '../../render/random-desired.ts';

const nameOf = chainNaming(chainHash);
const key = (index: number): string => `/var/lib/lxc/c${index}/0`;

/** Entries can still be asked for by their keys. */
function hide(map: ReadonlyMap<string, unknown>): void {
  const look = (): never => {
    throw new Error('all are looked at');
  };
  for (const way of ['keys', 'values', 'entries', 'forEach', Symbol.iterator])
    Object.defineProperty(map, way, { value: look });
}

test('a start and a stop among others, of a policy that others have and of one of its own', () => {
  const host = new TestHost().policy('containers/_default.yaml', 'egress: { default: allow }\n');
  for (let index = 0; index < 40; index += 1) host.configure(`c${index}`, `ipv4.address = 198.51.100.${index + 1}/32`);
  host.policy('containers/c1.yaml', 'ingress: { rules: [{ allow: ssh, from: any }] }\n');
  for (let index = 2; index < 40; index += 1) host.start(`c${index}`);
  const inputs = host.inputs();
  const assembler = createAssembler();
  let veths = inputs.veths;
  let last = assembler.assemble(inputs).desired;
  const all = last.nics;
  const run = (index: number, veth: InterfaceName | undefined): string[] => {
    veths = changeMap(veths, [[key(index), veth]]);
    const { desired } = assembler.assemble({ ...inputs, veths });
    const commands = diffDesired(last, desired, nameOf);
    expect([...changedDevices(last, desired)]).toEqual([]);
    last = desired;
    return commands;
  };
  // What is asked later is found out once, of all of them.
  run(0, interfaceName('veth0'));
  expect(enforcedCount(last.nics)).toBe(39);
  for (const map of [inputs.veths, all]) hide(map);
  expect(() => [...last.nics]).toThrow('all are looked at');

  expect(run(1, interfaceName('veth1')).join()).toContain('add chain');
  expect(enforcedCount(last.nics)).toBe(40);
  expect(run(0, undefined).join()).not.toContain('chain inet routewall');
  expect(run(1, undefined).join()).toContain('delete chain');
  expect(enforcedCount(last.nics)).toBe(38);
});
