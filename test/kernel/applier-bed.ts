/** An applier on the real kernel, in a namespace of its own. */

import type { ApplyRequest } from '../../controller/apply/applied.ts';
import { Applier } from '../../controller/apply/apply.ts';
import { type IpChannel, openIpChannel } from '../../controller/commands/ip-channel.ts';
import { openNftChannel } from '../../controller/commands/nft-channel.ts';
import type { Run } from '../../controller/commands/run.ts';
import { openKernelMarks } from '../../controller/kernel/kernel-marks.ts';
import { createNftBackend } from '../../controller/nftables/nft-backend.ts';
import { describeHost } from '../../policies/host-network.ts';
import type { DesiredState } from '../../render/desired.ts';
import { atEnd, makeFolder } from '../../sandbox/clean-up.ts';
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { unaskedClaims } from '../controller/probe/unasked.ts';
import { runIn, startIn } from './namespace-commands.ts';

/** `seen`: stands between the applier and the commands that are no residents, `told` before the resident ip. The clean-up takes all away. */
export async function openApplier(
  seen = (inside: Run): Run => inside,
  told = (inside: IpChannel): IpChannel => inside,
): Promise<{ host: Namespace; applier: Applier }> {
  const host = await createNamespace('host');
  const [nft, ip] = [openNftChannel(startIn(host), await makeFolder()), openIpChannel(startIn(host), () => true)];
  const marks = openKernelMarks(startIn(host));
  atEnd('stop the applier', async () => {
    nft.stop();
    ip.stop();
    marks.stop();
  });
  const commands = seen(runIn(host));
  const applier = new Applier({
    backend: createNftBackend({ nft, run: commands }),
    ip: told(ip),
    marks,
    announcer: { send: () => undefined, stop: () => undefined },
    claims: unaskedClaims(),
    run: commands,
    log: () => undefined,
  });
  return { host, applier };
}

/** For a host without uplinks, on which LXC set no proxies. */
export const requestOf = (desired: DesiredState): ApplyRequest => ({
  desired,
  network: describeHost([], { uplinks: [], guard: [], veths: new Set() }),
  lxcProxies: () => [],
});
