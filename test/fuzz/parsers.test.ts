/** Every reader of what comes from outside, given texts that were good once: it answers, or says in its own words why not. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStateFile } from '../../controller/cli/state-file.ts';
import { parseLxcInfo, parseVeths } from '../../controller/container-runtime.ts';
import { parseRequest } from '../../controller/control/requests.ts';
import { parseCounted } from '../../controller/counted-packets.ts';
import { parseFailures } from '../../controller/ip-channel.ts';
import { parseJson, ShapeError } from '../../controller/json-shape.ts';
import { parseMemento } from '../../controller/last-good.ts';
import { parsePolicyChain } from '../../controller/listed-policy.ts';
import { parseInterfaceCounters } from '../../controller/metrics/interface-counters.ts';
import { parseRefusal } from '../../controller/nft-channel.ts';
import { readLinks, readRouting, readRuleset } from '../../controller/observe.ts';
import { parseJournal } from '../../controller/revisions/journal.ts';
import { parseRevision } from '../../controller/revisions/revision.ts';
import { CommandError } from '../../controller/run.ts';
import { parseStatus } from '../../controller/status-file.ts';
import { parsePreview } from '../../controller/told-answers.ts';
import { parseTrackedFlow } from '../../controller/tracked-flows.ts';
import { parseConfig } from '../../policies/config.ts';
import { renderImportedPolicy } from '../../policies/import/imported.ts';
import { importIncus } from '../../policies/import/incus.ts';
import { importProxmox } from '../../policies/import/proxmox.ts';
import { loadPolicies } from '../../policies/load-policies.ts';
import { parseMoment } from '../../policies/moment.ts';
import { parsePeerWord } from '../../policies/peer-words.ts';
import { parseLimit } from '../../policies/rate-limit.ts';
import { parseServiceWord } from '../../policies/services.ts';
import { parseAddress, parsePrefix, parseRange } from '../../render/address.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { parseListing } from '../../render/listing.ts';
import { parseInterfaceName } from '../../render/names.ts';
import { parseOwned } from '../../render/owned.ts';
import { parseIpMonitorLine } from '../../watchers/ip-monitor.ts';
import { parseLxcMonitorLine } from '../../watchers/lxc-monitor.ts';
import { parseNftMonitorLine } from '../../watchers/nft-monitor.ts';
import { parseNetlinkSockets, parseUnixSockets } from '../../watchers/proc-sockets.ts';
import { compileFiles } from '../policies/compile-texts.ts';
import { parseText } from '../watchers/lxc-config/memory-files.ts';
import * as corpora from './corpora.ts';
import { mutated, stretched } from './mutations.ts';
import { savedTexts } from './saved-texts.ts';

interface Reader {
  readonly name: string;
  readonly corpus: readonly string[];
  /** May throw an error of its own kind; anything else is a crash. */
  readonly read: (text: string) => unknown;
  /** What of it becomes a word of a command. */
  readonly words?: (text: string) => readonly string[];
  /** Characters of the longest text that it can meet. */
  readonly longest: number;
}

/** A line is cut there, see line-splitter. */
const LINE = 65_536;
const FILE = 256 * 1024;

const listed = (text: string): unknown => {
  const table = parseListing(text).get('inet');
  const chains = [...(table?.chains.keys() ?? [])];
  return [
    parseOwned(table),
    table &&
      chains.map((name) =>
        ['egress', 'ingress'].map((way) => parsePolicyChain(table, name, way === 'egress' ? 'egress' : 'ingress')),
      ),
  ];
};
const answering = (stdout: string) => async () => ({ stdout, stderr: '', exitCode: 0 });
const loadedAs = (path: string) => (text: string) => {
  const { problems } = loadPolicies(new Map([[path, text]]));
  return problems.map((problem) => expect(problem.line).toBeGreaterThan(0));
};
const words = [...corpora.policyTexts, ...corpora.setTexts]
  .flatMap((text) => text.split(/[\s,"'[\]{}]+/))
  .filter(Boolean);

const READERS: readonly Reader[] = [
  { name: "LXC's configuration", corpus: corpora.lxcConfigs, read: parseText, longest: FILE },
  {
    name: 'a policy',
    corpus: corpora.policyTexts,
    read: (text) => compileFiles({ 'containers/web.yaml': text }),
    longest: FILE,
  },
  { name: 'a policy in JSON', corpus: corpora.policyTexts, read: loadedAs('containers/web.json'), longest: FILE },
  { name: 'a set in YAML', corpus: corpora.setTexts, read: loadedAs('sets/s.yaml'), longest: FILE },
  { name: 'a set as a list', corpus: corpora.setTexts, read: loadedAs('sets/s.txt'), longest: 64 * FILE },
  { name: 'services.yaml', corpus: corpora.serviceTexts, read: loadedAs('services.yaml'), longest: FILE },
  {
    name: 'routewall.yaml',
    corpus: corpora.configTexts,
    read: (text) => parseConfig('routewall.yaml', text),
    longest: FILE,
  },
  { name: 'a state file', corpus: corpora.stateTexts, read: parseStateFile, longest: FILE },
  {
    name: "Incus' file",
    corpus: corpora.incusTexts,
    read: (text) => {
      const { policy } = importIncus(text);
      return policy && renderImportedPolicy(policy, text.slice(0, 20));
    },
    longest: FILE,
  },
  {
    name: "Proxmox' file",
    corpus: corpora.proxmoxTexts,
    read: (text) => {
      const { policy } = importProxmox(text, { cluster: text, setFiles: true });
      return policy && renderImportedPolicy(policy, text.slice(0, 20));
    },
    longest: FILE,
  },
  { name: "nft's listing", corpus: corpora.nftListings, read: listed, longest: FILE },
  {
    name: "nft's listing, by command",
    corpus: corpora.nftListings,
    read: (text) => readRuleset(answering(text)),
    longest: FILE,
  },
  { name: "nft's counters", corpus: corpora.countedListings, read: parseCounted, longest: FILE },
  { name: "nft monitor's line", corpus: corpora.nftMonitorLines, read: parseNftMonitorLine, longest: LINE },
  { name: "ip monitor's line", corpus: corpora.ipMonitorLines, read: parseIpMonitorLine, longest: LINE },
  { name: "lxc-monitor's line", corpus: corpora.lxcMonitorLines, read: parseLxcMonitorLine, longest: LINE },
  { name: 'links in JSON', corpus: corpora.linkTexts, read: (text) => readLinks(answering(text)), longest: FILE },
  { name: 'veths in JSON', corpus: corpora.linkTexts, read: (text) => parseVeths(text, 3), longest: FILE },
  {
    name: 'routes and proxies in JSON',
    corpus: corpora.routeTexts,
    read: (text) => readRouting(answering(text)),
    longest: FILE,
  },
  {
    name: 'a tracked connection',
    corpus: corpora.flowLines,
    read: parseTrackedFlow,
    longest: LINE,
  },
  { name: "lxc-info's answer", corpus: corpora.lxcInfos, read: parseLxcInfo, longest: LINE },
  { name: '/proc/net/unix', corpus: corpora.unixSockets, read: parseUnixSockets, longest: FILE },
  { name: '/proc/net/netlink', corpus: corpora.unixSockets, read: parseNetlinkSockets, longest: FILE },
  {
    name: '/proc/net/dev',
    corpus: ['  veth0: 1116 14 0 0 0 0 0 0 906 11 0 0 0 0 0 0\n'],
    read: parseInterfaceCounters,
    longest: FILE,
  },
  {
    name: "nft's refusal",
    corpus: corpora.refusals,
    read: (text) => parseRefusal(text, '/run/routewall/transaction.nft', ['a', 'b']),
    longest: FILE,
  },
  {
    name: "ip's refusal",
    corpus: corpora.refusals,
    read: (text) => parseFailures(text, ['a', 'b'], 19),
    longest: FILE,
  },
  { name: 'the status file', corpus: savedTexts.status, read: (text) => parseStatus(parseJson(text)), longest: FILE },
  { name: 'the journal', corpus: savedTexts.journal, read: (text) => parseJournal(parseJson(text)), longest: FILE },
  { name: 'a revision', corpus: savedTexts.revision, read: (text) => parseRevision(parseJson(text)), longest: FILE },
  { name: 'a last good policy', corpus: savedTexts.lastGood, read: parseMemento, longest: FILE },
  { name: 'an order', corpus: savedTexts.order, read: (text) => parseRequest(parseJson(text)), longest: FILE },
  {
    name: "the daemon's answer",
    corpus: savedTexts.preview,
    read: (text) => parsePreview(parseJson(text)),
    longest: FILE,
  },
  { name: 'a service', corpus: words, read: parseServiceWord, longest: LINE },
  { name: 'a peer', corpus: words, read: parsePeerWord, longest: LINE },
  { name: 'a limit', corpus: ['20/second burst 40', '1/day', '1000 / minute'], read: parseLimit, longest: LINE },
  {
    name: 'a moment',
    corpus: ['2027-01-31T00:00:00Z', '2027-01-31 00:00:00.5+02:00'],
    read: parseMoment,
    longest: LINE,
  },
  {
    name: 'an address',
    corpus: words,
    read: parseAddress,
    words: (text) => [parseAddress(text) ?? []].flat(),
    longest: LINE,
  },
  {
    name: 'a prefix',
    corpus: words,
    read: parsePrefix,
    words: (text) => [parsePrefix(text) ?? []].flat(),
    longest: LINE,
  },
  { name: 'a range', corpus: words, read: parseRange, longest: LINE },
  {
    name: "an interface's name",
    corpus: ['vethAbC123', 'eth0.100', 'br-lan'],
    read: parseInterfaceName,
    words: (text) => [parseInterfaceName(text) ?? []].flat(),
    longest: LINE,
  },
  {
    name: 'a DNS name',
    corpus: ['deb.debian.org', 'xn--bcher-kva.example'],
    read: parseDnsName,
    words: (text) => [parseDnsName(text) ?? []].flat(),
    longest: LINE,
  },
];

/** Its own words for a text that makes no sense, which callers wait for. */
const isSaid = (error: unknown): boolean => error instanceof ShapeError || error instanceof CommandError;

async function readOrSay({ read }: Reader, text: string): Promise<void> {
  try {
    await read(text);
  } catch (error) {
    if (!isSaid(error)) throw error;
  }
}

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 100);
/** What takes quadratic time takes it at this length too, though not for ever. */
const LENGTH = Number(process.env['FUZZ_LENGTH'] ?? 10_000);

describe.each(READERS)('$name', (reader) => {
  it('is read without a crash whatever became of it', async () => {
    expect(reader.corpus.length).toBeGreaterThan(0);
    await fc.assert(
      fc.asyncProperty(mutated(reader.corpus), (text) => readOrSay(reader, text)),
      { numRuns: RUNS },
    );
  });

  it('is read in a time that grows with its length alone', async () => {
    for (const text of stretched(reader.corpus, Math.min(reader.longest, LENGTH))) await readOrSay(reader, text);
  });
});

const givesWords = READERS.flatMap(({ words: wordsOf, ...reader }) =>
  wordsOf === undefined ? [] : { ...reader, wordsOf },
);

describe.each(givesWords)('$name', ({ corpus, wordsOf }) => {
  it('gives words that no tool reads as two', () => {
    fc.assert(
      fc.property(mutated(corpus), (text) => {
        for (const word of wordsOf(text)) expect(word).toMatch(/^[^\s"'\\*/#]+(?:[/]\d+)?$/);
      }),
      { numRuns: RUNS },
    );
  });
});
