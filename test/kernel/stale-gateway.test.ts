/** A link that took another's name while a pass was at work, and got what was meant for the one before. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { Applier } from '../../controller/apply/apply.ts';
import { openIpChannel } from '../../controller/commands/ip-channel.ts';
import { openNftChannel } from '../../controller/commands/nft-channel.ts';
import { createNftBackend } from '../../controller/nftables/nft-backend.ts';
import { describeHost } from '../../policies/host-network.ts';
import { parseAddress } from '../../render/address.ts';
import type { DesiredState } from '../../render/desired.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { unaskedClaims } from '../controller/probe/unasked.ts';
import { nicOf, stateOf } from '../controller/states.ts';
import { runIn, startIn } from './namespace-commands.ts';

afterEach(cleanUp);

const request = (desired: DesiredState) => ({
  desired,
  network: describeHost([], { uplinks: [], guard: [], veths: new Set() }),
  lxcProxies: () => [],
});

it('takes a gateway off a veth whose container is gone, though the link was made anew', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-gateway-'));
  const host = await createNamespace('host');
  const [nft, ip] = [openNftChannel(startIn(host, []), folder), openIpChannel(startIn(host, []))];
  const announcer = { send: () => undefined, stop: () => undefined };
  const backend = createNftBackend({ nft, run: runIn(host) });
  const applier = new Applier({
    backend,
    ip,
    announcer,
    claims: unaskedClaims(),
    run: runIn(host),
    log: () => undefined,
  });
  const address = parseAddress('fe80::1');
  if (address === undefined) throw new Error('no address');
  const plain = nicOf(1, 80);
  const withGateway = { ...plain, gateways: [{ address, dev: plain.hostVeth }] };
  const addresses = async () => (await host.run('ip', ['address', 'show', 'dev', 'veth1'])).stdout;
  const renew = async () => {
    await host.run('sh', ['-c', 'ip link del veth1 2>/dev/null; ip link add veth1 type veth peer name peer1']);
    await host.run('ip', ['link', 'set', 'veth1', 'up']);
  };
  try {
    await renew();
    await applier.apply(request(stateOf(withGateway)));
    expect(await addresses()).toContain('fe80::1/128');
    await renew();
    // What a pass writes that began before the link was replaced.
    await applier.reassert(new Set([plain.hostVeth]));
    expect(await addresses()).toContain('fe80::1/128');
    await applier.resync(request(stateOf()));
    expect(await addresses()).not.toContain('fe80::1/128');
  } finally {
    for (const channel of [nft, ip]) channel.stop();
    await rm(folder, { recursive: true });
  }
});
