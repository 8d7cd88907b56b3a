/** Every golden case as iptables rules in a real kernel, by both variants; each in a network namespace of its own. */
import { readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { nameOf } from '../../controller/apply/apply.ts';
import { listedByXt, parseProtocolNames } from '../../controller/iptables/listed-by-xt.ts';
import { createXtBackend } from '../../controller/iptables/xt-backend.ts';
import { readXt, type XtVariant } from '../../controller/iptables/xt-tools.ts';
import type { DesiredState } from '../../render/desired.ts';
import { over } from '../../render/iptables/xt-limits.ts';
import { renderXt } from '../../render/iptables/xt-render.ts';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { createNamespace } from '../../sandbox/namespace.ts';
import { caseNames, runCase } from '../cases/golden-case.ts';
import { listedDifferences } from '../cases/listed-differences.ts';
import { runIn } from './namespace-commands.ts';

afterEach(cleanUp);

/** Cases after which all is compared, which starts a dozen of processes. */
const THOROUGH = /^(06|16|25|27|28|30|31|40|41|48|49|50)-/;

/** What iptables can't say, and so is shut: see docs/iptables.md. */
const UNHELD = new Set([
  ...[
    '16-odd-veth-names',
    '52-masquerade',
    '53-published-ports',
    '54-publishing-conflicts',
    '55-uplinks',
    '56-bridged',
  ],
]);

/** Others' rules, which must be the same in every byte afterwards. */
const FOREIGN = `
iptables-VARIANT -N DOCKER-USER
iptables-VARIANT -A FORWARD -j DOCKER-USER
iptables-VARIANT -A DOCKER-USER -s 192.0.2.0/24 -m comment --comment "RW- is not ours" -j RETURN
iptables-VARIANT -N RW-LIMIT
iptables-VARIANT -A INPUT -j RW-LIMIT
iptables-VARIANT -t raw -A PREROUTING -p udp --dport 53 -j CT --notrack
ip6tables-VARIANT -A FORWARD -s 2001:db8:9::/48 -j ACCEPT
arptables-VARIANT -A INPUT -s 192.0.2.99 -j DROP
ipset create RW-theirs hash:ip
ipset add RW-theirs 192.0.2.7
`;

const SAVE = `
for i in iptables ip6tables; do for t in raw filter nat; do $i-VARIANT-save -t $t | grep -v '^#'; done; done
arptables-VARIANT -L -n; ipset save
`;

describe.each<XtVariant>(['legacy', 'nft'])('by iptables-%s', (variant) => {
  it('loads all cases one after the other, finds each right at once and in words, and leaves nothing behind', async () => {
    const host = await createNamespace('xtload');
    const run = runIn(host);
    const sh = async (text: string) => (await host.run('sh', ['-c', text.replaceAll('VARIANT', variant)])).stdout;
    await sh(FOREIGN);
    const before = await sh(SAVE);
    const backend = createXtBackend(run, variant);
    const protocols = parseProtocolNames(await readFile('/etc/protocols', 'utf8'));
    const failed: string[] = [];
    let last: DesiredState | undefined;
    for (const name of caseNames()) {
      const { assembled } = await runCase(name);
      const { state: desired, unheld } = backend.holdable(assembled.desired);
      if (unheld.size > 0 !== UNHELD.has(name)) failed.push(`${name}: ${[...unheld.values()].join()}`);
      const { refusal } =
        last === undefined ? await (await backend.read()).bring(desired) : await backend.change(last, desired);
      if (refusal !== undefined) failed.push(`${name}: ${refusal.message}`);
      else last = desired;
      if (refusal !== undefined || unheld.size > 0 || !THOROUGH.test(name)) continue;
      const { commands } = await (await backend.read()).bring(desired);
      if (commands.length > 0) failed.push(`${name}: ${commands.join(' | ')}`);
      const listed = listedByXt(await readXt(run, variant), { desired, protocols });
      failed.push(...listedDifferences(listed, desired, assembled).map((line) => `${name}: ${line}`));
    }
    expect(failed).toEqual([]);
    expect(await sh(SAVE)).not.toBe(before);
    expect((await backend.remove()).refusal).toBeUndefined();
    expect(await sh(SAVE)).toBe(before);
    expect((await readXt(run, variant)).sets.size).toBe(0);
  });

  it('takes every rate, with as much at once as can be counted', async () => {
    const host = await createNamespace('xtrate');
    const numbers = [1, 2, 3, 7, 24, 1_000, 999_999, 1_000_000_000];
    const rates = numbers.flatMap((number) => ['second', 'minute', 'hour', 'day'].map((unit) => `${number}/${unit}`));
    const rules = rates.map((rate) => `-A FORWARD ${over(rate, 2_000_000_000, [])} -j DROP`);
    const input = ['*filter', ...rules, 'COMMIT', ''].join('\n');
    expect(await runIn(host)(`iptables-${variant}-restore`, [], { input })).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

it('renders every case the same twice', async () => {
  for (const name of caseNames()) {
    const { assembled } = await runCase(name);
    expect(renderXt(assembled.desired, nameOf)).toEqual(renderXt(assembled.desired, nameOf));
  }
});
