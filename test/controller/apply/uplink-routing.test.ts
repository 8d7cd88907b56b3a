/** Tables and rules of uplinks are taken for written only where ip wrote them. */
import { expect, test } from 'vitest';
import { UplinkRouting } from '../../../controller/apply/uplink-routing.ts';
import type { Run } from '../../../controller/commands/run.ts';
import type { DesiredState } from '../../../render/desired.ts';
import { stateOf, veth } from '../states.ts';

const TABLE = { table: 11_905, dev: veth('uplink'), gateways: [], families: [4] } as const;
const state: DesiredState = { ...stateOf(), host: { ...stateOf().host, uplinkTables: [TABLE] } };

test('an ip that fails as a whole has written and removed nothing', async () => {
  let isFailing = true;
  const written: string[] = [];
  const run: Run = async (_, __, { input = '' } = {}) => {
    if (isFailing) return { stdout: '', stderr: 'Cannot open netlink socket: Too many open files\n', exitCode: 1 };
    written.push(input);
    return { stdout: '', stderr: '', exitCode: 0 };
  };
  const uplinks = new UplinkRouting(run, () => undefined);
  await expect(uplinks.open(state)).rejects.toThrow('Too many open files');
  isFailing = false;
  await uplinks.open(state);
  expect(written.splice(0).join('')).toMatch(/^route replace .*table 11905(.|\n)*^rule add .*lookup 11905/m);
  isFailing = true;
  await expect(uplinks.close(undefined)).rejects.toThrow('Too many open files');
  isFailing = false;
  await uplinks.close(undefined);
  expect(written.splice(0).join('')).toMatch(/^rule del .*lookup 11905(.|\n)*^route del .*table 11905/m);
});
