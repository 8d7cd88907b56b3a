/**
 * What the hook adds to `lxc-start`: without a hook, with an empty one, with a shell script that does by `ip` what
 * lxc-routednet does, with one that also ends by conntrack(8) what others began in the container's name, as routewall
 * does, and with routewall's as script.up and as start-host, in turn on one host with a real daemon.
 * Prints a table; needs root. `node scripts/bench.mjs hook-time [ROUNDS]`
 */
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanUp, makeFolder } from '../sandbox/clean-up.ts';
import type { Container } from '../sandbox/container.ts';
import { nic, OPEN, type Routewall, startRoutewall } from '../test/lxc/routewall.ts';
import { asPackaged } from './as-packaged.ts';
import { plainHook } from './plain-hook.ts';
import { median, quantile, report } from './report.ts';
import { untilCleared } from './start-watch.ts';

const rounds = Number(process.argv[2] ?? 40);

/** Gateways and addresses of all NICs; proxies where the uplink's prefix has the address. It announces nothing. */
const SHELL_HOOK = `#!/bin/sh
for veth; do :; done
config=$(cat "$LXC_CONFIG_FILE")
values() { printf '%s\\n' "$config" | sed -n "s/^lxc\\.net\\.0\\.ipv[46]\\.$1 *= *//p" | sed 's,/.*,,'; }
[ "$3" = up ] && echo 1 >/proc/sys/net/ipv6/conf/all/proxy_ndp
[ "$3" = up ] && for gateway in $(values gateway); do ip neigh replace proxy "$gateway" dev "$veth"; done
for address in $(values address); do
  if [ "$3" = up ]; then ip route add "$address" dev "$veth"; else ip route del "$address" dev "$veth"; fi
  # Real ones compare prefixes; here all lie on eth0, and the reading is what costs.
  ip -o address show | grep -q ' eth0 ' || continue
  if [ "$3" = up ]; then ip neigh replace proxy "$address" dev eth0; else ip neigh del proxy "$address" dev eth0; fi
done
exit 0
`;

/** What others began in its name while nobody had the address would be answered by its init, and asked no policy. */
const CUTS = `[ "$3" = up ] || exit 0
for address in $(values address); do
  for side in --orig-src --orig-dst; do conntrack -D "$side" "$address" >/dev/null 2>&1; done
done
`;

async function timeStart(routewall: Routewall, { lxcPath, name }: Container): Promise<number> {
  const { host } = routewall.bed;
  await untilCleared();
  const mark = routewall.mark();
  const begin = performance.now();
  await host.run('lxc-start', ['-P', lxcPath, '-n', name, '-d']);
  const took = performance.now() - begin;
  await routewall.enforced(name, { after: mark });
  await host.run('lxc-stop', ['-P', lxcPath, '-n', name, '-k']);
  // The next start shall not wait for what this stop left to do.
  await routewall.daemon.child().waitForLine(new RegExp(` ${name} \\S+ via .*: removed in `), { after: mark });
  return took;
}

async function makeScript(name: string, text: string): Promise<string> {
  const path = join(await makeFolder(), name);
  await writeFile(path, text);
  await chmod(path, 0o755);
  return path;
}

try {
  const routewall = await startRoutewall(await asPackaged());
  const empty = await makeScript('empty', '#!/bin/sh\n');
  const shell = await makeScript('shell', SHELL_HOOK);
  const cutting = await makeScript('cutting', `${SHELL_HOOK.replace(/exit 0\n$/, '')}${CUTS}exit 0\n`);
  const hook = await plainHook(routewall);
  const upAndDown = (hook: string): string[] => ['up', 'down'].map((type) => `lxc.net.0.script.${type} = ${hook}`);
  const kinds: readonly (readonly [string, readonly string[]])[] = [
    ['no hook', []],
    ['an empty hook', upAndDown(empty)],
    ['a shell hook, as lxc-routednet', upAndDown(shell)],
    ['the same, that ends what others began', upAndDown(cutting)],
    ['routewall, script.up', upAndDown(hook)],
    ['routewall, start-host', [`lxc.hook.start-host = ${hook}`]],
  ];
  const samples = new Map<string, number[]>();
  const containers = new Map<string, Container>();
  for (const [index, [title, lines]] of kinds.entries()) {
    const addresses = [`192.0.2.${50 + index}`, `2001:db8:0:1::${50 + index}`];
    containers.set(
      title,
      await routewall.addContainer(`c${index}`, { policy: OPEN, lines: [...nic(addresses), ...lines] }),
    );
  }
  for (let round = -2; round < rounds; round += 1) {
    for (const [title, container] of containers) {
      const took = await timeStart(routewall, container);
      if (round >= 0) samples.set(title, [...(samples.get(title) ?? []), took]);
    }
  }
  const bare = median(samples.get('no hook') ?? []);
  await report('hook-time', {
    title: 'What a hook adds to lxc-start',
    about: `Milliseconds over ${rounds} starts each, one address of each family, in turn.`,
    command: `node scripts/bench.mjs hook-time ${rounds}`,
    columns: ['lxc-start with', 'median', 'p90', 'max', 'added'],
    rows: [...samples].map(([title, values]) => [
      title,
      ...[median(values), quantile(values, 0.9), quantile(values, 1)].map((value) => value.toFixed(1)),
      (median(values) - bare).toFixed(1),
    ]),
  });
} finally {
  await cleanUp();
}
