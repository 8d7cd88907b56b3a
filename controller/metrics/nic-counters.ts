/** Counters by container, out of counters by interface that begin anew with each veth. */
import type { Direction } from '../../render/rule.ts';
import type { InterfaceCounters } from './interface-counters.ts';
import type { Metrics, NicCounter, NicLabels } from './registry.ts';

/** One routed NIC of a container that is configured; `hostVeth` while it is enforced. */
export interface CountedNic {
  readonly key: string;
  readonly container: string;
  readonly lxcPath: string;
  readonly nic: string;
  readonly hostVeth: string | undefined;
}

/** One element of a set: a key of its own, and how often it was met since it came into the set. */
interface RefusedElement {
  readonly veth: string;
  readonly direction: Direction;
  readonly key: string;
  readonly packets: number;
}

interface Counted {
  readonly labels: Omit<NicLabels, 'direction'>;
  veth: string | undefined;
  /** What the interface had counted at the last reading; nothing of a new one. */
  carried: InterfaceCounters | undefined;
  /** By the key of the element: what it had counted at the last reading. */
  refused: ReadonlyMap<string, number>;
}

const DIRECTIONS: readonly Direction[] = ['egress', 'ingress'];
const NOTHING: ReadonlyMap<string, number> = new Map();

/** Adds what came since the last reading, so that a series only grows while the container is configured. */
export class NicCounters {
  readonly #metrics: Pick<Metrics, 'packets' | 'bytes' | 'refused'>;
  readonly #counted = new Map<string, Counted>();

  constructor(metrics: Pick<Metrics, 'packets' | 'bytes' | 'refused'>) {
    this.#metrics = metrics;
  }

  /** After each pass; what isn't among them is forgotten, with its series. */
  follow(nics: readonly CountedNic[]): void {
    const keys = new Set(nics.map(({ key }) => key));
    for (const [key, { labels }] of this.#counted) if (!keys.has(key)) this.#remove(key, labels);
    for (const nic of nics) this.#follow(nic);
  }

  addCarried(interfaces: ReadonlyMap<string, InterfaceCounters>): void {
    const { packets, bytes } = this.#metrics;
    for (const counted of this.#counted.values()) {
      const now = counted.veth === undefined ? undefined : interfaces.get(counted.veth);
      if (now === undefined) continue;
      const before = counted.carried;
      counted.carried = now;
      // What the host receives from its end is what the container sent.
      for (const [direction, side] of [['egress', 'received'] as const, ['ingress', 'sent'] as const]) {
        const labels = { ...counted.labels, direction };
        packets.inc(labels, growth(before?.[side].packets, now[side].packets));
        bytes.inc(labels, growth(before?.[side].bytes, now[side].bytes));
      }
    }
  }

  addRefused(elements: readonly RefusedElement[]): void {
    const byVeth = new Map<string, RefusedElement[]>();
    for (const element of elements) {
      const list = byVeth.get(element.veth);
      if (list === undefined) byVeth.set(element.veth, [element]);
      else list.push(element);
    }
    for (const counted of this.#counted.values()) {
      if (counted.veth === undefined) continue;
      const own = byVeth.get(counted.veth) ?? [];
      const before = counted.refused;
      // An element that has expired begins at nothing when it is met again.
      counted.refused = own.length === 0 ? NOTHING : new Map(own.map(({ key, packets }) => [key, packets]));
      for (const { direction, key, packets } of own)
        this.#metrics.refused.inc({ ...counted.labels, direction }, growth(before.get(key), packets));
    }
  }

  #follow({ key, container, lxcPath, nic, hostVeth }: CountedNic): void {
    let counted = this.#counted.get(key);
    if (counted !== undefined && counted.labels.nic !== nic) {
      this.#remove(key, counted.labels);
      counted = undefined;
    }
    if (counted === undefined) {
      const labels = { container, lxc_path: lxcPath, nic };
      counted = { labels, veth: undefined, carried: undefined, refused: NOTHING };
      this.#counted.set(key, counted);
      // A series that is there from the beginning shows its first packet as an increase.
      for (const direction of DIRECTIONS) for (const each of this.#series()) each.inc({ ...labels, direction }, 0);
    }
    if (counted.veth === hostVeth) return;
    counted.carried = undefined;
    // What was refused may outlive an interface that comes back under the name that its configuration fixes.
    if (hostVeth !== undefined && counted.veth !== undefined) counted.refused = NOTHING;
    counted.veth = hostVeth;
  }

  #remove(key: string, labels: Counted['labels']): void {
    this.#counted.delete(key);
    for (const direction of DIRECTIONS) for (const each of this.#series()) each.remove({ ...labels, direction });
  }

  #series(): readonly NicCounter[] {
    return [this.#metrics.packets, this.#metrics.bytes, this.#metrics.refused];
  }
}

/** What counts less than before has begun anew. */
const growth = (before: number | undefined, now: number): number =>
  before === undefined || now < before ? now : now - before;
