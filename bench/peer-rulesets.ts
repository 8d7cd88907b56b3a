/** The shapes in which others write such rules, each as much as the one measured container needs. */

export interface PeerOptions {
  readonly containers: number;
  /** The port of UDP and TCP that the measured packets go to. */
  readonly allowed: number;
  readonly addressOf: (index: number) => string;
  readonly vethOf: (index: number) => string;
}

export interface PeerRulesets {
  /** Every packet is tracked, and none judged. */
  readonly tracking: string;
  /** What one container's policy says, written by hand for it alone. */
  readonly equal: string;
  /** As Incus does with `security.ipv4_filtering` and friends: a base chain for each container. */
  readonly baseChains: string;
  /** One base chain with a jump for each container's interface, as firewalls have that were written for iptables. */
  readonly jumps: string;
  /** The same for iptables-restore. */
  readonly iptables: string;
}

const PORTS = [22, 25, 53, 80, 110, 143, 443, 993];

export function peerRulesets({ containers, allowed, addressOf, vethOf }: PeerOptions): PeerRulesets {
  const rules = [
    ...PORTS.map((port) => `tcp dport ${port} accept`),
    'udp dport 20000 accept',
    `udp dport ${allowed} accept`,
    `tcp dport ${allowed} accept`,
    'drop',
  ].join('; ');
  const each = <T>(tell: (index: number) => T): T[] => Array.from({ length: containers }, (_, index) => tell(index));
  // The measured one comes last, as any of a thousand may.
  const order = each((index) => containers - 1 - index);
  const forwardHead = 'type filter hook forward priority 0; policy accept; ct state established,related accept';
  const spoof = (index: number): string => `iifname "${vethOf(index)}" ip saddr != ${addressOf(index)} drop`;
  return {
    tracking:
      'table ip t { chain f { type filter hook forward priority 0; policy accept; ct state invalid drop; }\n}\n',
    equal: `table ip t {
      chain p { type filter hook prerouting priority raw; policy accept; ${spoof(0)}; }
      chain c { ${rules}; }
      chain f { ${forwardHead}; iifname "${vethOf(0)}" jump c; }
    }\n`,
    baseChains: `table ip t {\n${order
      .map(
        (index) =>
          `chain p${index} { type filter hook prerouting priority raw; policy accept; ${spoof(index)}; }\n` +
          `chain f${index} { type filter hook forward priority 0; policy accept; iifname != "${vethOf(index)}" accept; ct state established,related accept; ${rules}; }`,
      )
      .join('\n')}\n}\n`,
    jumps: `table ip t {
      ${order.map((index) => `chain c${index} { ${rules}; }`).join('\n      ')}
      chain p { type filter hook prerouting priority raw; policy accept; ${order.map(spoof).join('; ')}; }
      chain f { ${forwardHead}; ${order.map((index) => `iifname "${vethOf(index)}" jump c${index}`).join('; ')}; }
    }\n`,
    iptables: [
      '*raw',
      ':PREROUTING ACCEPT [0:0]',
      ...order.map((index) => `-A PREROUTING -i ${vethOf(index)} ! -s ${addressOf(index)} -j DROP`),
      'COMMIT',
      '*filter',
      ':FORWARD ACCEPT [0:0]',
      ...order.map((index) => `:c${index} - [0:0]`),
      '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
      ...order.map((index) => `-A FORWARD -i ${vethOf(index)} -j c${index}`),
      ...order.flatMap((index) => [
        ...PORTS.map((port) => `-A c${index} -p tcp --dport ${port} -j ACCEPT`),
        `-A c${index} -p udp --dport 20000 -j ACCEPT`,
        `-A c${index} -p udp --dport ${allowed} -j ACCEPT`,
        `-A c${index} -p tcp --dport ${allowed} -j ACCEPT`,
        `-A c${index} -j DROP`,
      ]),
      'COMMIT',
      '',
    ].join('\n'),
  };
}
