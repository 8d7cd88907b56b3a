import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Address, parseAddress } from '../../render/address.ts';
import { diffRouting, type Routing, renderRouting } from '../../render/routing.ts';
import { interfaceName, prefix } from './random-desired.ts';

const address = (text: string): Address => parseAddress(text) ?? expect.unreachable();
const NOTHING: Routing = { gateways: [], routes: [], proxies: [] };
const web = interfaceName('vethWeb');
const eth0 = interfaceName('eth0');

const whole: Routing = {
  gateways: [
    { address: address('169.254.0.1'), dev: web },
    { address: address('fe80::1'), dev: web },
  ],
  routes: [
    { prefix: prefix('192.0.2.10/32'), dev: web },
    { prefix: prefix('2001:db8:5::/64'), dev: web },
  ],
  proxies: [{ address: address('192.0.2.10'), dev: eth0 }],
};

it('builds from the inside out: gateway, route, proxy', () => {
  expect(renderRouting(diffRouting(NOTHING, whole))).toEqual([
    'address replace 169.254.0.1/32 dev vethWeb scope link',
    'address replace fe80::1/128 dev vethWeb scope link nodad',
    'route replace 192.0.2.10/32 dev vethWeb proto 119 metric 4096',
    'route replace 2001:db8:5::/64 dev vethWeb proto 119 metric 4096',
    'neigh replace proxy 192.0.2.10 dev eth0 protocol 119',
  ]);
});

it('removes from the outside in, and only what is marked as ours', () => {
  expect(renderRouting(diffRouting(whole, NOTHING))).toEqual([
    'neigh del proxy 192.0.2.10 dev eth0',
    'route del 192.0.2.10/32 dev vethWeb proto 119 metric 4096',
    'route del 2001:db8:5::/64 dev vethWeb proto 119 metric 4096',
    'address del 169.254.0.1/32 dev vethWeb',
    'address del fe80::1/128 dev vethWeb',
  ]);
});

it('removes before it adds, so that a prefix that moves to another interface is there in the end', () => {
  const moved: Routing = { ...NOTHING, routes: [{ prefix: prefix('192.0.2.10/32'), dev: interfaceName('vethNew') }] };
  const lines = renderRouting(diffRouting(whole, moved));
  expect(lines.findLastIndex((line) => / del /.test(line))).toBe(lines.length - 2);
  expect(lines.at(-1)).toBe('route replace 192.0.2.10/32 dev vethNew proto 119 metric 4096');
});

describe('any two states', () => {
  const devs = fc.constantFrom('fwd', 'a;b', '$x', '{').map(interfaceName);
  const hosts = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1').map(address);
  const prefixes = fc.constantFrom('192.0.2.0/28', '192.0.2.1/32', '2001:db8::/64').map(prefix);
  const routing: fc.Arbitrary<Routing> = fc.record({
    gateways: fc.array(fc.record({ address: hosts, dev: devs }), { maxLength: 4 }),
    routes: fc.array(fc.record({ prefix: prefixes, dev: devs }), { maxLength: 4 }),
    proxies: fc.array(fc.record({ address: hosts, dev: devs }), { maxLength: 4 }),
  });
  const keys = (of: Routing): string[] => [...new Set(renderRouting({ add: of, remove: NOTHING }))].sort();

  it('differ by exactly what one has and the other lacks', () => {
    fc.assert(
      fc.property(routing, routing, (before, after) => {
        const { add, remove } = diffRouting(before, after);
        const gone = new Set(keys(remove));
        expect([...new Set([...keys(before).filter((key) => !gone.has(key)), ...keys(add)])].sort()).toEqual(
          keys(after),
        );
        expect(keys(add).filter((key) => keys(before).includes(key))).toEqual([]);
        expect(diffRouting(after, after)).toEqual({ add: NOTHING, remove: NOTHING });
      }),
    );
  });
});
