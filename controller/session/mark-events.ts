/** What each event of the host makes dirty. Listeners only mark: the reading happens in the pass that follows. */
import { isLimiterName } from '../../render/names.ts';
import { PROTOCOL } from '../../render/protocol.ts';
import { isOwnTable } from '../../render/uplink.ts';
import type { HostEventBus } from '../../watchers/events.ts';
import { containerId } from '../host/containers.ts';
import type { ContainerRef } from '../host/known-containers.ts';
import type { DirtyParts } from '../pass/dirty.ts';

export interface MarkContext {
  /** The marks to add to; asks for a pass. */
  mark(): DirtyParts;
  /** The same, for what has ended: asks for a pass by and by. */
  markLater(): DirtyParts;
  /** Whether the kernel has an interface of that name at this moment. */
  exists(dev: string): boolean;
  /** Whether it is the host-side veth of a container, known or not. */
  isVeth(name: string): boolean;
  /** The container whose NIC has, or by its configuration will have, this host-side veth. */
  ownerOf(veth: string): ContainerRef | undefined;
  /** The kernel told of a link that this container has, by its id. */
  noteLink(container: string, name: string, deleted: boolean): void;
  /** Whether a hook of its own will ask about it while it starts: LXC can't be asked before. */
  asksAtStart(container: ContainerRef): boolean;
  /** Whether containers hang on bridges: then it matters which ports others have. */
  hasBridges?(): boolean;
  /** Whether neighbours shall find a container behind this address. */
  isProxied(address: string): boolean;
  /** Whether each of these settings has the value that we gave it. */
  isWritten(values: ReadonlyMap<string, string>): boolean;
  /** Whether a container leaves by an uplink of its own. */
  hasUplinks(): boolean;
  /** Whether a commit by this process is our own. */
  isOurProcess(pid: number): boolean;
  /** Whether tc shall hold something of ours on this interface. */
  isShaped(dev: string): boolean;
  readonly configFile: string;
}

const ENDS: ReadonlySet<string> = new Set(['STOPPING', 'STOPPED', 'ABORTING', 'EXITED']);

const isOurs = (protocol: string): boolean => protocol === String(PROTOCOL) || protocol === 'routewall';

/** @returns the function that takes all listeners off again. */
export function markEvents(bus: HostEventBus, context: MarkContext): () => void {
  const { mark } = context;
  // Between STARTING and RUNNING its veth appears, and LXC can tell which it is.
  const starting = new Map<string, ContainerRef>();
  const markLink = (name: string): void => {
    const { links } = mark();
    if (links !== 'all') links.add(name);
  };

  /** What went with its link is told piece by piece. */
  const markLost = (dev: string): DirtyParts => (context.exists(dev) ? mark() : context.markLater());

  const unbind = [
    bus.on('containerConfigChanged', ({ lxcPath, name }) => {
      const dirty = mark();
      dirty.configs.set(containerId(lxcPath, name), { lxcPath, name });
      dirty.runtimes.set(containerId(lxcPath, name), { lxcPath, name });
    }),
    bus.on('containerStateChanged', ({ lxcPath, name, state }) => {
      const id = containerId(lxcPath, name);
      if (state === 'STARTING') {
        starting.set(id, { lxcPath, name });
        return;
      }
      starting.delete(id);
      const dirty = ENDS.has(state) ? context.markLater() : mark();
      dirty.runtimes.set(id, { lxcPath, name });
    }),
    bus.on('linkChanged', ({ name, deleted }) => {
      // Our own, and no way to anywhere: only somebody else's taking it away matters.
      if (isLimiterName(name)) {
        if (deleted && context.isShaped(name)) mark().traffic.add(name);
        return;
      }
      const owner = context.ownerOf(name);
      if (owner !== undefined) {
        const id = containerId(owner.lxcPath, owner.name);
        context.noteLink(id, name, deleted);
        const dirty = deleted ? context.markLater() : mark();
        dirty.runtimes.set(id, owner);
        if (!deleted) dirty.veths.add(name);
      } else if (context.isVeth(name)) {
        const silent = deleted ? [] : [...starting].filter(([, ref]) => !context.asksAtStart(ref));
        for (const [id, ref] of silent) mark().runtimes.set(id, ref);
        if (context.hasBridges?.() === true) markLink(name);
      } else {
        // An uplink that goes down takes routes and proxies along, and says nothing of the proxies.
        const dirty = mark();
        dirty.links = 'all';
        dirty.resync = true;
      }
    }),
    bus.on('addressChanged', ({ dev, deleted }) => {
      if (context.isVeth(dev)) {
        // A gateway's address: only its going matters, since putting it back is told too.
        if (deleted && context.ownerOf(dev) !== undefined) markLost(dev).veths.add(dev);
        return;
      }
      markLink(dev);
      // With the last one of IPv4 the kernel drops all routes by that link, in whatever table, and tells of none.
      if (deleted && context.hasUplinks()) mark().uplinks = true;
    }),
    bus.on('routeChanged', ({ dev, protocol, table, isDefault, deleted }) => {
      const ours = isOurs(protocol);
      if (deleted && ours) markLost(dev).veths.add(dev);
      // The router behind an uplink is another, and the interface that leads out is no container's.
      if (!ours && isDefault) mark().links = 'all';
      // One of ours went that stands in no veth's table.
      else if (ours && deleted && isOwnTable(Number(table)) && context.hasUplinks()) mark().uplinks = true;
    }),
    bus.on('ruleChanged', ({ protocol, deleted }) => {
      if (deleted && isOurs(protocol) && context.hasUplinks()) mark().uplinks = true;
    }),
    bus.on('proxyLost', ({ address }) => {
      // Mostly it was us, for a container that stopped.
      if (context.isProxied(address)) mark().proxies.add(address);
    }),
    bus.on('sysctlChanged', ({ dev, values }) => {
      // Mostly it was us, for a container that started.
      if (context.isWritten(values)) return;
      // Those for all interfaces and for new ones may have changed any of them along.
      mark().sysctls.add(dev === 'default' ? 'all' : dev);
    }),
    bus.on('trafficChanged', ({ dev }) => {
      if (context.isShaped(dev)) mark().traffic.add(dev);
    }),
    bus.on('rulesetCommitted', ({ pid, touchesOurs, deletesOurs }) => {
      if (!touchesOurs || context.isOurProcess(pid)) return;
      const dirty = mark();
      dirty.resync = true;
      dirty.deleted ||= deletesOurs;
    }),
    bus.on('leasesChanged', () => {
      mark().leases = true;
    }),
    bus.on('dnsAnswerChanged', () => {
      // Every pass takes the answers as they are.
      mark();
    }),
    bus.on('firewallReloaded', () => {
      mark().resync = true;
    }),
    bus.on('containerUnitChanged', () => {
      // A monitor that was killed tells lxc-monitor nothing, but systemd knows of it.
      mark().running = true;
    }),
    bus.on('policyFileChanged', ({ file }) => {
      const dirty = mark();
      if (file === context.configFile) dirty.config = true;
      else if (dirty.policies !== 'all') dirty.policies.add(file);
    }),
  ];
  return () => {
    for (const off of unbind) off();
  };
}
