/** What `ip` refused is found by whom it is of, and forgotten once nobody wants it. */
import { expect, test } from 'vitest';
import { FailedRouting } from '../../../controller/apply/failed-routing.ts';
import { createAssembler } from '../../../controller/pass/assemble.ts';
import type { DesiredState } from '../../../render/desired.ts';
import { renderRouting, routingOf } from '../../../render/routing.ts';
import { TestHost } from '../../policies/compile-host.ts';

const NOTHING = { gateways: [], routes: [], proxies: [] };
const WHY = 'RTNETLINK answers: Operation not permitted';

function running(...names: readonly string[]): DesiredState {
  const host = new TestHost();
  for (const [index, name] of ['a', 'b', 'proxy'].entries())
    host.configure(
      name,
      ...[`ipv4.address = 192.0.2.${index + 10}/24`, 'ipv4.gateway = 169.254.0.1'],
      ...[`ipv6.address = 2001:db8::${index + 10}/64`, 'ipv6.gateway = fe80::1'],
      `veth.ipv4.route = 198.51.100.${16 * index}/28`,
    );
  // Words of the lines themselves.
  for (const name of names) host.start(name, { a: 'veth1', b: 'dev', proxy: 'replace' }[name]);
  return createAssembler().assemble(host.inputs()).desired;
}

const all = running('a', 'b', 'proxy');
const linesOf = (state: DesiredState): string[] => renderRouting({ add: routingOf(state), remove: NOTHING });

test.each(linesOf(all))('%s', (line) => {
  const failed = new FailedRouting();
  failed.note(linesOf(all), [{ line, message: WHY }]);
  expect(renderRouting({ add: failed.wanted(all), remove: NOTHING })).toEqual([line]);
  const [[key, why] = [], ...others] = failed.byNic(all);
  expect([why, others]).toEqual([`ip ${line}: ${WHY}`, []]);
  const name = key?.split('/').at(-2) ?? '';
  const without = running(...['a', 'b', 'proxy'].filter((one) => one !== name));
  expect(linesOf(without)).not.toContain(line);
  expect(failed.wanted(without)).toEqual(NOTHING);
  expect(failed.byNic(all).size).toBe(0);
});

test('each kind is among them', () => {
  const { gateways, routes, proxies } = routingOf(all);
  expect([gateways.length, routes.length, proxies.length]).toEqual([6, 9, 6]);
});
