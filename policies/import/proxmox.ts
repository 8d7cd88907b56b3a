/** A Proxmox guest's firewall as a policy; the cluster's file tells the groups, aliases and IP sets that it names. */
import { formatRange } from '../../render/address.ts';
import type { Direction } from '../../render/rule.ts';
import type { Finding } from '../source-text.ts';
import type { Imported, ImportedPolicy, ImportedSection } from './imported.ts';
import { type FwFile, type FwRule, parseFwFile } from './proxmox-file.ts';
import { findMacro } from './proxmox-macros.ts';
import { type FwNames, type ResolvedSet, resolveSet, sayPeers } from './proxmox-peers.ts';
import { type ForeignRule, type Said, type SaidRule, sayRule } from './say-rule.ts';
import { isPorted, joinSaid, lost, said, sayIcmp, sayPorts, sayProtocol, wholeProtocol } from './say-service.ts';

export interface ProxmoxOptions {
  /** The text of cluster.fw. */
  readonly cluster: string | undefined;
  /** IP sets become files; without it their addresses stand in the rules. */
  readonly setFiles: boolean;
}

interface Context {
  readonly names: FwNames;
  readonly groups: FwFile['groups'] | undefined;
  readonly use: (set: ResolvedSet) => readonly string[];
  readonly report: (finding: Finding) => void;
}

/** A rule, and the one NIC that it is about. */
interface PlacedRule {
  readonly nic: string | undefined;
  readonly rule: SaidRule;
}

/** Some other program's file would else become what Proxmox does where nothing is said: everything goes out. */
const NO_FW_FILE: Imported = {
  ...{ policy: undefined, profiles: new Map(), sets: new Map() },
  findings: [{ line: 1, column: 1, message: 'no firewall file of Proxmox: it has no section, such as [RULES]' }],
};

/** Never throws. */
export function importProxmox(text: string, { cluster: clusterText, setFiles }: ProxmoxOptions): Imported {
  const file = parseFwFile(text);
  if (file.findings.length > 0 && !/^\s*\[/m.test(text)) return NO_FW_FILE;
  const cluster = clusterText === undefined ? undefined : parseFwFile(clusterText);
  const findings: Finding[] = [...file.findings];
  const report = (finding: Finding): void => void findings.push(finding);
  const sets = new Map<string, readonly string[]>();
  const use = (set: ResolvedSet): readonly string[] => {
    if (set.isGuest) for (const { line, text: entry } of set.broken) reportEntry(line, entry, findings);
    const words = set.ranges.map(formatRange);
    if (!setFiles || words.length === 0) return words;
    sets.set(set.name, words);
    return [`set:${set.name}`];
  };
  const isCluster = file.groups.size > 0;
  const context: Context = isCluster
    ? { names: { guest: NOTHING, cluster: file }, groups: file.groups, use, report }
    : { names: { guest: file, cluster }, groups: cluster?.groups, use, report };
  const policy = isCluster ? undefined : importGuest(file, context);
  const profiles = isCluster ? importCluster(file, context) : new Map();
  return { policy, profiles, sets, findings: findings.sort((a, b) => a.line - b.line) };
}

function reportEntry(line: number, entry: string, findings: Finding[]): void {
  const message = `"${entry}" is nothing that an IP set holds: left out, as Proxmox does`;
  if (findings.some((known) => known.message === message && known.line === line)) return;
  findings.push({ line, column: 1, message, severity: 'warning' });
}

function importGuest(guest: FwFile, context: Context): ImportedPolicy {
  checkOptions(guest, context.report);
  const egress = importDirection('egress', guest, context);
  const ingress = importDirection('ingress', guest, context);
  const nics = [...new Set([...egress, ...ingress].flatMap(({ nic }) => nic ?? []))].sort();
  const section = (direction: Direction, placed: readonly PlacedRule[], nic?: string): ImportedSection => ({
    ...defaultOf(direction, guest),
    rules: placed.filter((one) => one.nic === undefined || one.nic === nic).map(({ rule }) => rule),
  });
  const interfaces = new Map(
    nics.map((nic) => [nic, { egress: section('egress', egress, nic), ingress: section('ingress', ingress, nic) }]),
  );
  return { egress: section('egress', egress), ingress: section('ingress', ingress), interfaces };
}

/** The groups as profiles; all IP sets. What the file says besides is about the hosts. */
function importCluster(file: FwFile, context: Context): Map<string, ImportedPolicy> {
  for (const { line } of file.rules) {
    const message = "left out: the cluster's own rules are about its hosts, and routewall protects containers";
    context.report({ line, column: 1, message, severity: 'warning' });
  }
  for (const name of file.ipsets.keys()) {
    const set = resolveSet(`dc/${name}`, context.names);
    if (set !== undefined) context.use(set);
  }
  const section = (direction: Direction, rules: readonly FwRule[]): ImportedSection => ({
    log: false,
    rules: rules.flatMap((rule) => {
      if (rule.type !== (direction === 'ingress' ? 'in' : 'out')) return [];
      return importRule(direction, rule, undefined, context).map((placed) => placed.rule);
    }),
  });
  return new Map(
    [...file.groups].map(([name, rules]) => [
      name,
      { egress: section('egress', rules), ingress: section('ingress', rules), interfaces: new Map() },
    ]),
  );
}

const VERDICTS = { ACCEPT: 'allow', DROP: 'drop', REJECT: 'reject' } as const;

/** Proxmox' own defaults: nothing in, everything out. */
function defaultOf(direction: Direction, { options }: FwFile): Omit<ImportedSection, 'rules'> {
  const suffix = direction === 'ingress' ? 'in' : 'out';
  const text = options.get(`policy_${suffix}`)?.text.toUpperCase();
  const known = (['ACCEPT', 'DROP', 'REJECT'] as const).find((policy) => policy === text);
  const fallback = direction === 'egress' && text === undefined ? 'ACCEPT' : 'DROP';
  const level = options.get(`log_level_${suffix}`)?.text ?? '';
  return { default: VERDICTS[known ?? fallback], log: level !== '' && level !== 'nolog' };
}

/** What these say is the same here, whatever they say. */
const SILENT = ['enable', 'policy_in', 'policy_out', 'log_level_in', 'log_level_out', 'ipfilter', 'ndp'];
/** What these allow isn't carried over. */
const SWITCHES = ['dhcp', 'radv', 'ips'];

function checkOptions({ options }: FwFile, report: (finding: Finding) => void): void {
  const enable = options.get('enable');
  if (enable === undefined || enable.text !== '1') {
    const message = 'the firewall is switched off there (enable is not 1), and its rules would be in force here';
    report({ line: enable?.line ?? 1, column: 1, message, severity: 'warning' });
  }
  for (const [key, { line, text }] of options) {
    const isOff = SWITCHES.includes(key) && text === '0';
    const isUsual = key === 'macfilter' && text === '1';
    if (SILENT.includes(key) || isOff || isUsual) continue;
    const message = `${key}: ${text} is left out: no policy can say it`;
    report({ line, column: 1, message, severity: 'warning' });
  }
  for (const key of ['policy_in', 'policy_out']) {
    const policy = options.get(key);
    if (policy !== undefined && !/^(ACCEPT|DROP|REJECT)$/i.test(policy.text)) {
      report({ line: policy.line, column: 1, message: `"${policy.text}" is no policy: taken for DROP` });
    }
  }
}

function importDirection(direction: Direction, guest: FwFile, context: Context): PlacedRule[] {
  const type = direction === 'ingress' ? 'in' : 'out';
  const blacklist = direction === 'ingress' ? blacklisted(context) : [];
  const rules = guest.rules.flatMap((rule) => {
    if (rule.type === 'group') return importGroup(direction, rule, context);
    return rule.type === type ? importRule(direction, rule, rule.options.get('iface'), context) : [];
  });
  return [...blacklist, ...rules];
}

/** Whom the cluster's set of this name holds reaches no guest. */
function blacklisted({ names, use }: Context): PlacedRule[] {
  const set = resolveSet('dc/blacklist', names);
  const peers = set === undefined ? [] : use(set);
  if (peers.length === 0) return [];
  return [{ nic: undefined, rule: { drop: 'any', from: peers, comment: 'the blacklist of the cluster' } }];
}

function importGroup(direction: Direction, reference: FwRule, context: Context): PlacedRule[] {
  if (!reference.enabled) return [];
  const { line, name = '', options } = reference;
  const rules = context.groups?.get(name);
  const nic = options.get('iface');
  if (rules === undefined) {
    // It may refuse anything, and what follows may allow that.
    const hint = context.groups === undefined ? ': --cluster names the file that knows it' : '';
    context.report({
      line,
      column: 1,
      message: `unknown group "${name}"${hint}; all that follows is refused (${direction})`,
    });
    const rule = { drop: 'any', [direction === 'egress' ? 'to' : 'from']: 'any', comment: `group ${name}` };
    return nicOf(nic).map((one) => ({ nic: one, rule }));
  }
  const type = direction === 'ingress' ? 'in' : 'out';
  // Findings stand at the line that a reader of this file can find; names are the cluster's, which wrote the group.
  const shared = { ...context, names: { ...context.names, guest: NOTHING } };
  return rules.flatMap((rule) => {
    if (rule.type !== type) return [];
    return importRule(direction, { ...rule, line, comment: rule.comment ?? `group ${name}` }, nic, shared);
  });
}

const NOTHING = { aliases: new Map(), ipsets: new Map() };

/** Proxmox' net0 is LXC's lxc.net.0; one that is no such name matches nothing. */
function nicOf(iface: string | undefined): (string | undefined)[] {
  if (iface === undefined) return [undefined];
  const index = /^net(\d{1,2})$/.exec(iface)?.[1];
  return index === undefined ? [] : [index];
}

function importRule(direction: Direction, rule: FwRule, iface: string | undefined, context: Context): PlacedRule[] {
  const { options, line, enabled, comment, action } = rule;
  const option = (key: string): string => options.get(key) ?? '';
  const level = option('log');
  const said: ForeignRule = {
    place: { line, column: 1 },
    direction,
    action: VERDICTS[action],
    services: sayServices(rule, option),
    peers: sayPeers(option(direction === 'egress' ? 'dest' : 'source'), context.names, context.use),
    unsaid: [...unsaid(direction, rule, option)],
    log: level !== '' && level !== 'nolog',
    enabled,
    comment,
  };
  const [nic, ...others] = nicOf(iface);
  if (iface !== undefined && nic === undefined && others.length === 0) {
    const message = `"${iface}" is no NIC of a guest (net0, net1, …): left out`;
    context.report({ line, column: 1, message, severity: 'warning' });
    return [];
  }
  const one = sayRule(said, context.report);
  return one === undefined ? [] : [{ nic, rule: one }];
}

const KNOWN = ['iface', 'source', 'dest', 'proto', 'dport', 'sport', 'icmp-type', 'log'];

function* unsaid(direction: Direction, { options, name }: FwRule, option: (key: string) => string): Generator<string> {
  if (option('sport') !== '') yield 'source ports';
  if (option(direction === 'egress' ? 'source' : 'dest') !== '') yield "the container's own address";
  if (name !== undefined && (option('proto') !== '' || option('dport') !== '')) yield 'more than what its macro says';
  for (const key of options.keys()) if (!KNOWN.includes(key)) yield `-${key}`;
}

function sayServices({ name }: FwRule, option: (key: string) => string): Said {
  if (name !== undefined) return sayMacro(name);
  const [protocol, ports, type] = [option('proto').toLowerCase(), option('dport'), option('icmp-type')];
  const family = protocol === 'icmp' || protocol === '1' ? 4 : /^(icmpv6|ipv6-icmp|58)$/.test(protocol) ? 6 : undefined;
  if (family !== undefined) return sayIcmp(family, type === '' ? ports : type);
  if (type !== '') return lost('ICMP types of another protocol', 'any');
  const named = { '6': 'tcp', '17': 'udp', '132': 'sctp' }[protocol] ?? protocol;
  if (isPorted(named)) return sayPorts(named, ports);
  if (ports !== '') return lost(`ports of ${protocol === '' ? 'any protocol' : protocol}`, 'any');
  return protocol === '' ? said('any') : sayProtocol(protocol);
}

function sayMacro(name: string): Said {
  const macro = findMacro(name);
  if (macro === undefined) return lost(`the macro ${JSON.stringify(name)}`, 'any');
  return joinSaid(macro.parts.map((part) => sayPart(part, macro.only6)));
}

function sayPart(part: string, only6: boolean): Said {
  const [, protocol = '', ports = '', source] = /^(\w+)\/([^@]*)(?:@(.*))?$/.exec(part) ?? [];
  if (protocol === 'icmp6') return sayIcmp(6, ports);
  if (!isPorted(protocol)) return said(part);
  // IPv6 alone, which no word for ports says either.
  if (source !== undefined || only6) return lost(`source ports (${part})`, wholeProtocol(protocol));
  return sayPorts(protocol, ports);
}
