/** Golden folders: what a host is configured like, and the ruleset and routes that follow, for people to review. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Direction, PeerMatch, PolicyChain, Rule, ServiceMatch } from '../../render/rule.ts';
import { caseNames, casesFolder, runCase } from './golden-case.ts';

const EXPECTED = ['ruleset.nft', 'rules.iptables', 'routing.ip', 'uplinks.ip', 'problems.txt'];
const update = process.env['UPDATE_GOLDEN'] === '1';

describe.each(caseNames())('%s', (name) => {
  const folder = `${casesFolder}/${name}`;

  it('gives the expected ruleset, routing and problems', async () => {
    const { files } = await runCase(name);
    if (update) {
      for (const file of EXPECTED) rmSync(`${folder}/${file}`, { force: true });
      for (const [file, text] of files) writeFileSync(`${folder}/${file}`, text);
    }
    const present = readdirSync(folder).filter((file) => EXPECTED.includes(file));
    expect([...files.keys()].sort()).toEqual(present.sort());
    for (const [file, text] of files) expect(text, file).toBe(readFileSync(`${folder}/${file}`, 'utf8'));
  });

  it('says the same when it is asked again', async () => {
    expect((await runCase(name)).files).toEqual((await runCase(name)).files);
  });
});

it('has at least thirty cases, numbered without a gap', () => {
  const numbers = caseNames().map((name) => Number(name.slice(0, 2)));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  expect(numbers.length).toBeGreaterThanOrEqual(30);
});

// Records, so that the compiler names what is missing here when a kind is added.
const PEERS: Record<PeerMatch['kind'], true> = {
  any: true,
  host: true,
  lan: true,
  internet: true,
  dns: true,
  ranges: true,
};
const SERVICES: Record<ServiceMatch['kind'], true> = { any: true, protocol: true, ports: true, icmp: true };
const ACTIONS: Record<Rule['action'], true> = { allow: true, drop: true, reject: true, log: true };
const DIRECTIONS: Record<Direction, true> = { egress: true, ingress: true };

const wanted = [
  ...Object.keys(DIRECTIONS).flatMap((direction) => [
    ...Object.keys(PEERS).map((kind) => `${direction} peer ${kind}`),
    ...Object.keys(ACTIONS).map((action) => `${direction} ${action}`),
    ...['allow', 'drop', 'reject'].map((verdict) => `${direction} default ${verdict}`),
    `${direction} default logged`,
    `${direction} rule logged`,
  ]),
  ...Object.keys(SERVICES).map((kind) => `service ${kind}`),
  ...[6, 17, 132].map((protocol) => `ports of ${protocol}`),
  ...[4, 6].flatMap((family) => [`icmp ${family} all`, `icmp ${family} type`, `ranges ${family}`, `family ${family}`]),
  ...['peers4', 'peers6', 'ports', 'dns4', 'dns6'].map((kind) => `named set ${kind}`),
  'built-in default',
];

it('shows every kind of peer, service and verdict in some case', async () => {
  const seen = new Set<string>();
  for (const name of caseNames()) {
    const { assembled, ruleset } = await runCase(name);
    for (const { egress, ingress } of assembled.desired.nics.values()) {
      for (const chain of [egress, ingress]) for (const feature of featuresOf(chain)) seen.add(feature);
    }
    for (const set of ruleset.get('inet')?.sets.keys() ?? []) seen.add(`named set ${set.split('_')[0]}`);
  }
  expect(wanted.filter((feature) => !seen.has(feature))).toEqual([]);
});

function featuresOf({ direction, rules, default: { verdict, log, origin } }: PolicyChain): string[] {
  return [
    `${direction} default ${verdict}`,
    ...(log ? [`${direction} default logged`] : []),
    ...(origin === null ? ['built-in default'] : []),
    ...rules.flatMap((rule) => [
      `${direction} peer ${rule.peer.kind}`,
      `${direction} ${rule.action}`,
      ...(rule.log ? [`${direction} rule logged`] : []),
      ...(rule.peer.kind === 'ranges' ? [`ranges ${rule.peer.family}`] : []),
      ...(rule.family === undefined ? [] : [`family ${rule.family}`]),
      ...serviceFeatures(rule.service),
    ]),
  ];
}

function serviceFeatures(service: ServiceMatch): string[] {
  const detail =
    service.kind === 'ports'
      ? [`ports of ${service.protocol}`]
      : service.kind === 'icmp'
        ? [`icmp ${service.family} ${service.type === undefined ? 'all' : 'type'}`]
        : [];
  return [`service ${service.kind}`, ...detail];
}
