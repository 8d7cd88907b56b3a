/** The host's own settings and programs, where they work against us; pure. */
import type { Finding } from './finding.ts';

export interface HostFacts {
  /** Tables that the old iptables has loaded; no reading of theirs loads any. */
  readonly legacyTables: Readonly<Record<4 | 6, readonly string[]>>;
  /** Below /proc/sys; `undefined` where there is no such key. */
  readonly sysctl: (key: string) => string | undefined;
  readonly uplinks: readonly string[];
  readonly hasIpv6: boolean;
  /** Programs that aren't there, with what for. */
  readonly missing: readonly { readonly program: string; readonly why: string; readonly package: string }[];
  /** Of containers that run or are configured: NICs that nothing of ours stands before. */
  readonly unfiltered: readonly { readonly container: string; readonly nic: string; readonly type: string }[];
}

const host = (severity: Finding['severity'], message: string, mend: string | null): Finding => ({
  ...{ severity, container: null, message, mend },
});

export function examineHost(facts: HostFacts): Finding[] {
  return [
    ...examineLegacy(facts),
    ...examineSysctls(facts),
    ...facts.missing.map(({ program, why, package: name }) =>
      host('error', `${program} is not there: ${why}`, `apt install ${name}`),
    ),
    ...facts.unfiltered.map(({ container, nic, type }) => ({
      severity: 'warning' as const,
      container,
      message: `${nic} is ${type}: nothing of routewall filters what passes it`,
      mend: `lxc.net.N.type = veth, without a link, in the configuration of ${container}`,
    })),
  ];
}

function examineLegacy({ legacyTables }: HostFacts): Finding[] {
  return ([4, 6] as const).flatMap((family) => {
    const tables = legacyTables[family];
    const command = family === 4 ? 'iptables-legacy' : 'ip6tables-legacy';
    if (tables.length === 0) return [];
    const message = `the old iptables has tables of its own for IPv${family} (${tables.join(', ')}), which stand beside nftables: what they drop is dropped, whatever policies say`;
    return [
      host('warning', message, `${command}-save shows them; update-alternatives --set iptables /usr/sbin/iptables-nft`),
    ];
  });
}

function examineSysctls({ sysctl, uplinks, hasIpv6 }: HostFacts): Finding[] {
  const findings: Finding[] = [];
  const bridged = ['iptables', 'ip6tables', 'arptables'].filter(
    (name) => sysctl(`net/bridge/bridge-nf-call-${name}`) === '1',
  );
  if (bridged.length > 0)
    findings.push(
      host(
        'warning',
        `br_netfilter sends what bridges forward through the IP rules (${bridged.map((name) => `bridge-nf-call-${name}`).join(', ')}): other programs' rules meet frames of bridged containers`,
        'sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 net.bridge.bridge-nf-call-arptables=0',
      ),
    );
  if (sysctl('net/ipv4/conf/all/rp_filter') === '1')
    findings.push(
      host(
        uplinks.length > 1 ? 'warning' : 'note',
        'rp_filter is strict on all interfaces: packets that come in by another uplink than the way back are dropped',
        'sysctl -w net.ipv4.conf.all.rp_filter=2',
      ),
    );
  if (hasIpv6 && sysctl('net/ipv6/conf/all/forwarding') === '0')
    findings.push(
      host(
        'error',
        'IPv6 is not forwarded, or another daemon (netplan, networkd, a VPN) has switched it off again: containers have no IPv6',
        'sysctl -w net.ipv6.conf.all.forwarding=1',
      ),
    );
  return findings;
}
