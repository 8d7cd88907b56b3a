import { expect, it } from 'vitest';
import { createBooks } from '../../../controller/pass/configured-addresses.ts';
import type { Container } from '../../../policies/endpoint.ts';
import { loadPolicies } from '../../../policies/load-policies.ts';
import { parseAddress } from '../../../render/address.ts';

const containerOf = (name: string, ...addresses: string[]): Container => ({
  id: name,
  name,
  groups: ['all'],
  endpoints: [
    {
      key: `${name}/0`,
      index: 0,
      nic: 'eth0',
      addresses: addresses.flatMap((text) => parseAddress(text) ?? []),
      routes: [],
      gateways: [],
      fixedVeth: undefined,
      proxiedByLxcOn: undefined,
      places: new Map(),
    },
  ],
  file: 'config',
  problems: [],
});

const CONTAINERS = [containerOf('web', '192.0.2.1'), containerOf('db', '192.0.2.2'), containerOf('none', '192.0.2.3')];

/** Each step's files in place of those of the same name before. */
const STEPS: readonly (readonly [changed: Readonly<Record<string, string>>, isSameBook: boolean])[] = [
  [{ 'containers/web.yaml': 'use: [base]\n', 'containers/db.yaml': 'use: [base]\n', 'profiles/base.yaml': '' }, true],
  [{ 'profiles/base.yaml': 'egress: { default: allow }\n' }, true],
  [{ 'profiles/base.yaml': 'routes: [198.51.100.16/28]\n' }, false],
  [{ 'profiles/base.yaml': 'routes: [198.51.100.16/28]\negress: { default: allow }\n' }, true],
  [{ 'containers/web.yaml': 'use: [base]\nroutes: [198.51.100.32/28]\n' }, false],
  [{ 'containers/web.yaml': 'use: base\nroutes: 198.51.100.48/28\n' }, false],
  [{ 'containers/_default.yaml': 'routes: [198.51.100.64/28]\n' }, false],
  [{ 'containers/db.yaml': 'egress: { default: allow }\n' }, false],
  [{ 'containers/db.yaml': 'egress: { default: drop }\n' }, true],
];

it('is another book only where addresses are others, and always says what a new one would', () => {
  const booksOf = createBooks();
  let files: ReadonlyMap<string, string> = new Map();
  let before = booksOf(CONTAINERS, loadPolicies(files));
  for (const [changed, isSameBook] of STEPS) {
    files = new Map([...files, ...Object.entries(changed)]);
    const loaded = loadPolicies(files);
    const book = booksOf(CONTAINERS, loaded);
    const fresh = createBooks()(CONTAINERS, loaded);
    for (const { name } of CONTAINERS) expect(book.container(name), name).toEqual(fresh.container(name));
    expect(book.group('all')).toEqual(fresh.group('all'));
    expect(book === before, JSON.stringify(changed)).toBe(isSameBook);
    before = book;
  }
  expect(before.container('web')).toEqual(['192.0.2.1/32', '198.51.100.48/28', '198.51.100.16/28']);
  expect(before.container('db')).toEqual(['192.0.2.2/32']);
  expect(before.container('none')).toEqual(['192.0.2.3/32', '198.51.100.64/28']);
  const moved = [containerOf('web', '192.0.2.9'), ...CONTAINERS.slice(1)];
  expect(booksOf(moved, loadPolicies(files)).container('web')).toEqual([
    '192.0.2.9/32',
    '198.51.100.48/28',
    '198.51.100.16/28',
  ]);
});
