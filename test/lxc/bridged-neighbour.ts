/** A machine on the bridge's own network, behind a port that is no container's. */
import { createNamespace, type Namespace } from '../../sandbox/namespace.ts';
import { createWire, runIp } from '../../sandbox/wire.ts';

const NEIGHBOUR = ['198.51.100.140/25', '2001:db8:200::140/64'];

export async function addNeighbour(host: Namespace): Promise<Namespace> {
  const lan = await createNamespace('lan');
  await createWire(
    { namespace: host, name: 'lan0', addresses: [] },
    { namespace: lan, name: 'eth0', addresses: NEIGHBOUR },
  );
  await runIp(host, ['link set dev lan0 master br0']);
  return lan;
}
