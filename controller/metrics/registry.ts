/** Every metric that is offered, by name, type, labels and meaning; docs/metrics.md lists them. */
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Histogram from 'prom-client/lib/histogram.js';
import Registry from 'prom-client/lib/registry.js';

/** From a pass that reads one veth to a resync of a host with 10,000 containers. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Two LXC paths may hold containers of one name. */
const OF_NIC = ['container', 'lxc_path', 'nic', 'direction'] as const;

export type NicLabels = Record<(typeof OF_NIC)[number], string>;
export type NicCounter = Counter<(typeof OF_NIC)[number]>;
export type Metrics = ReturnType<typeof createMetrics>;

/** A registry of its own: the library's global one belongs to nobody. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const gauge = <L extends string = never>(name: string, help: string, ...labelNames: L[]): Gauge<L> =>
    new Gauge<L>({ name: `routewall_${name}`, help, labelNames, registers });
  const counter = <L extends string = never>(name: string, help: string, ...labelNames: L[]): Counter<L> =>
    new Counter<L>({ name: `routewall_${name}_total`, help, labelNames, registers });
  return {
    registry,
    info: gauge('build_info', 'Always 1; the label tells the release.', 'version'),
    enforcedAt: gauge(
      'enforced_timestamp_seconds',
      'When a pass last ended with the kernel in the desired state, in seconds since 1970.',
    ),
    comparedAt: gauge(
      'compared_timestamp_seconds',
      'When a comparison with the kernel last came to its end, in seconds since 1970.',
    ),
    containers: gauge('containers', 'Containers that are configured, by the state that LXC tells.', 'state'),
    policies: gauge('policies', 'Containers by what becomes of their policy file.', 'status'),
    interfaces: gauge('interfaces_enforced', 'Routed network interfaces of containers whose rules are in force.'),
    sealed: gauge('containers_sealed', 'Containers that a panic has sealed.'),
    problems: gauge('problems', 'What is wrong with configurations and policies now.', 'severity'),
    passes: counter('passes', 'Passes of reading, compiling and applying.', 'result'),
    passSeconds: new Histogram({
      name: 'routewall_pass_duration_seconds',
      help: 'How long each pass took that ended well.',
      buckets: SECONDS,
      registers,
    }),
    putAside: counter(
      'readings_put_aside',
      'Readings of the host that failed, or that a container could not wait for; they are made again.',
    ),
    repaired: counter('drift_repaired', 'Parts of the kernel state that others changed and routewall put back.'),
    packets: counter('container_packets', 'Packets on the host side of the container interface.', ...OF_NIC),
    bytes: counter('container_bytes', 'Bytes of Ethernet frames on the host side of the interface.', ...OF_NIC),
    refused: counter('container_refused_packets', 'Packets that the policy of the container refused.', ...OF_NIC),
  };
}
