/** Readers of what nft, ip, tc, iptables, LXC and the kernel print. */

import { parseFailures } from '../../controller/commands/ip-channel.ts';
import { parseRefusal } from '../../controller/commands/nft-channel.ts';
import { parseTrackedFlow } from '../../controller/connections/tracked-flows.ts';
import { parseCounted } from '../../controller/denials/counted-packets.ts';
import { parseChains } from '../../controller/doctor/foreign-ruleset.ts';
import { parseIptablesSave } from '../../controller/doctor/iptables-save.ts';
import { judgePacket } from '../../controller/doctor/judge-packet.ts';
import { parseMonitorAnswer } from '../../controller/host/monitor.ts';
import { parseJson } from '../../controller/json-shape.ts';
import { parsePolicyChain } from '../../controller/kernel/listed-policy.ts';
import { readLink, readLinks, readRouting, readRuleset, readUplinkRoutes } from '../../controller/kernel/observe.ts';
import { readHostRouting, readUplinkRules, readWaysOut, readWaysTo } from '../../controller/kernel/observe-uplinks.ts';
import { parseInterfaceCounters } from '../../controller/metrics/interface-counters.ts';
import { parseTcJson } from '../../controller/traffic/read-traffic.ts';
import { addressFrom } from '../../render/address.ts';
import { parseListing, parsePanicListing } from '../../render/listing.ts';
import { parsePublished } from '../../render/nat.ts';
import { parseOwned } from '../../render/owned.ts';
import { parseFilters, parseQdiscs } from '../../render/traffic-listing.ts';
import { parseIpMonitorLine } from '../../watchers/ip-monitor.ts';
import { parseLxcMonitorLine } from '../../watchers/lxc-monitor.ts';
import { parseNftMonitorLine } from '../../watchers/nft-monitor.ts';
import { parseNetlinkSockets, parseUnixSockets } from '../../watchers/proc-sockets.ts';
import { parseRunningContainers } from '../../watchers/running-containers.ts';
import { parseTcMonitorLine } from '../../watchers/tc-monitor.ts';
import * as corpora from './corpora.ts';
import { answering, FILE, LINE, type Reader } from './reader.ts';

const listed = (text: string): unknown => {
  const table = parseListing(text).get('inet');
  const chains = [...(table?.chains.keys() ?? [])];
  const directions = ['egress', 'ingress'] as const;
  return [
    parseOwned(table),
    parsePublished(table),
    table && chains.map((name) => directions.map((direction) => parsePolicyChain(table, name, direction))),
  ];
};

const ASKED = { family: 4, iifname: 'eth0', oifname: 'veth1', source: '203.0.113.80', destination: '198.51.100.10' };
const judged = (chains: ReturnType<typeof parseIptablesSave>): unknown =>
  (['forward', 'input', 'output'] as const).map((way) =>
    judgePacket(chains, way, { ...ASKED, family: 4, protocol: 'tcp', port: 80 }),
  );

const nft: readonly Reader[] = [
  { name: "nft's listing", corpus: corpora.nftListings, read: listed, longest: FILE },
  {
    name: "nft's listing, by command",
    corpus: corpora.nftListings,
    read: (text) => readRuleset(answering(text)),
    longest: FILE,
  },
  { name: "nft's listing of the seal", corpus: corpora.panicListings, read: parsePanicListing, longest: FILE },
  { name: "nft's counters", corpus: corpora.countedListings, read: parseCounted, longest: FILE },
  { name: "nft monitor's line", corpus: corpora.nftMonitorLines, read: parseNftMonitorLine, longest: LINE },
  {
    name: "nft's refusal",
    corpus: corpora.refusals,
    read: (text) => parseRefusal(text, '/run/routewall/transaction.nft', ['a', 'b']),
    longest: FILE,
  },
  {
    name: "nft's listing of others' rules",
    corpus: corpora.foreignListings,
    read: (text) => judged(parseChains(parseJson(text).value)),
    longest: FILE,
  },
  {
    name: "iptables-save's output",
    corpus: corpora.savedRules,
    read: (text) => judged(parseIptablesSave(text, { family: 'ip', program: 'iptables-legacy' })),
    longest: FILE,
  },
];

const iproute: readonly Reader[] = [
  { name: "ip monitor's line", corpus: corpora.ipMonitorLines, read: parseIpMonitorLine, longest: LINE },
  { name: "tc monitor's line", corpus: corpora.tcMonitorLines, read: parseTcMonitorLine, longest: LINE },
  { name: 'links in JSON', corpus: corpora.linkTexts, read: (text) => readLinks(answering(text)), longest: FILE },
  {
    name: 'a link in JSON',
    corpus: corpora.linkTexts,
    read: (text) => readLink(answering(text), 'eth0'),
    longest: FILE,
  },
  {
    name: 'routes and proxies in JSON',
    corpus: corpora.routeTexts,
    read: (text) => readRouting(answering(text)),
    longest: FILE,
  },
  {
    name: 'rules of policy routing in JSON',
    corpus: corpora.ruleTexts,
    read: (text) => readUplinkRules(answering(text)),
    longest: FILE,
  },
  {
    name: 'routes of all tables in JSON',
    corpus: corpora.allRoutes,
    read: async (text) => [
      await readUplinkRoutes(answering(text)),
      await readHostRouting(answering(text)),
      await readWaysOut(answering(text)),
      await readWaysTo(answering(text), addressFrom(0xcb007150n, 4)),
    ],
    longest: FILE,
  },
  {
    name: "tc's queueing disciplines",
    corpus: corpora.qdiscTexts,
    read: (text) => parseQdiscs(parseTcJson(text)),
    longest: FILE,
  },
  {
    name: "tc's filters",
    corpus: corpora.filterTexts,
    read: (text) => parseFilters(parseTcJson(text)),
    longest: FILE,
  },
  {
    name: "ip's refusal",
    corpus: corpora.refusals,
    read: (text) => parseFailures(text, ['a', 'b'], 19),
    longest: FILE,
  },
];

const others: readonly Reader[] = [
  { name: "lxc-monitor's line", corpus: corpora.lxcMonitorLines, read: parseLxcMonitorLine, longest: LINE },
  { name: "a monitor's answer", corpus: corpora.monitorAnswers, read: parseMonitorAnswer, longest: LINE },
  { name: 'a tracked connection', corpus: corpora.flowLines, read: parseTrackedFlow, longest: LINE },
  { name: '/proc/net/unix', corpus: corpora.unixSockets, read: parseUnixSockets, longest: FILE },
  {
    name: '/proc/net/unix, for who runs',
    corpus: corpora.unixSockets,
    read: (text) => parseRunningContainers(text, ['/var/lib/lxc', '/']),
    longest: FILE,
  },
  { name: '/proc/net/netlink', corpus: corpora.netlinkSockets, read: parseNetlinkSockets, longest: FILE },
  { name: '/proc/net/dev', corpus: corpora.interfaceCounters, read: parseInterfaceCounters, longest: FILE },
];

export const toolReaders: readonly Reader[] = [...nft, ...iproute, ...others];
