/** Readers of what administrators write: configurations, policies, and the words in them. */
import { parseAskedService } from '../../controller/cli/asked-service.ts';
import { CliError } from '../../controller/cli/exit.ts';
import { parseRevisionNumber, parseSeconds } from '../../controller/cli/order.ts';
import { parseStateFile } from '../../controller/cli/state-file.ts';
import { parseNetworkFiles, parseSysctlFiles } from '../../controller/doctor/setting-files.ts';
import { parseParty } from '../../controller/explain/flow-parties.ts';
import { parseBitRate } from '../../policies/bit-rate.ts';
import { parseConfig } from '../../policies/config.ts';
import { renderImportedPolicy } from '../../policies/import/imported.ts';
import { importIncus } from '../../policies/import/incus.ts';
import { importProxmox } from '../../policies/import/proxmox.ts';
import { parseListenAddress } from '../../policies/metrics-config.ts';
import { parseMoment } from '../../policies/moment.ts';
import { parsePeerWord } from '../../policies/peer-words.ts';
import { parseLimit } from '../../policies/rate-limit.ts';
import { catalogueTable } from '../../policies/service-table.ts';
import { parsePortRange, parseServiceWord } from '../../policies/services.ts';
import { parseAddress, parsePrefix, parseRange } from '../../render/address.ts';
import { parseDnsName } from '../../render/dns-name.ts';
import { parseInterfaceName, parseInterfacePattern } from '../../render/names.ts';
import { parseText } from '../watchers/lxc-config/memory-files.ts';
import * as corpora from './corpora.ts';
import { FILE, LINE, type Reader } from './reader.ts';

const words = [...corpora.policyTexts, ...corpora.setTexts]
  .flatMap((text) => text.split(/[\s,"'[\]{}]+/))
  .filter(Boolean);

/** Answers in words of its own what is wrong with a word of the command line. */
const asked =
  (parse: (text: string) => unknown) =>
  (text: string): unknown => {
    try {
      return parse(text);
    } catch (cause) {
      if (cause instanceof CliError) return cause.message;
      throw cause;
    }
  };

const files: readonly Reader[] = [
  { name: "LXC's configuration", corpus: corpora.lxcConfigs, read: parseText, longest: FILE },
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
  {
    name: 'sysctl.d',
    corpus: corpora.sysctlTexts,
    read: (text) => parseSysctlFiles([{ path: 'a.conf', text }]).map(({ matches }) => matches('net/ipv4/ip_forward')),
    longest: FILE,
  },
  {
    name: "systemd-networkd's file",
    corpus: corpora.networkTexts,
    read: (text) =>
      parseNetworkFiles([{ path: 'a.network', text }]).map(({ matches }) => matches('net/ipv4/conf/eth0')),
    longest: FILE,
  },
];

const inFiles: readonly Reader[] = [
  { name: 'a service', corpus: words, read: parseServiceWord, longest: LINE },
  { name: 'a range of ports', corpus: ['80', '5000-5010'], read: parsePortRange, longest: LINE },
  { name: 'a peer', corpus: words, read: parsePeerWord, longest: LINE },
  { name: 'a limit', corpus: ['20/second burst 40', '1/day', '1000 / minute'], read: parseLimit, longest: LINE },
  { name: 'a rate of bits', corpus: ['100Mbit', '8kbit', '1.5gbps', '12500bps'], read: parseBitRate, longest: LINE },
  {
    name: 'a moment',
    corpus: ['2027-01-31T00:00:00Z', '2027-01-31 00:00:00.5+02:00'],
    read: parseMoment,
    longest: LINE,
  },
  {
    name: 'where metrics are offered',
    corpus: ['127.0.0.1:9100', '[::1]:9100', '/run/routewall/metrics.sock'],
    read: parseListenAddress,
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
  { name: 'a pattern of the guard', corpus: ['veth*', 'ct-*', 'eth0'], read: parseInterfacePattern, longest: LINE },
  {
    name: 'a DNS name',
    corpus: ['deb.debian.org', 'xn--bcher-kva.example'],
    read: parseDnsName,
    words: (text) => [parseDnsName(text) ?? []].flat(),
    longest: LINE,
  },
];

const inCommands: readonly Reader[] = [
  {
    name: 'an end of a flow',
    corpus: ['container:web', 'host', '192.0.2.1', '2001:db8::/32'],
    read: parseParty,
    longest: LINE,
  },
  {
    name: 'a service that is asked about',
    corpus: ['tcp/80', 'ssh', 'icmp/echo-request', 'icmp4/8', 'proto/47'],
    read: (text) => parseAskedService(text, catalogueTable),
    longest: LINE,
  },
  { name: 'a time to wait', corpus: ['60', '60s', '5m', '1h'], read: asked(parseSeconds), longest: LINE },
  { name: "a revision's number", corpus: ['1', '17'], read: asked(parseRevisionNumber), longest: LINE },
];

export const fileReaders: readonly Reader[] = [...files, ...inFiles, ...inCommands];
