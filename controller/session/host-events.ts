/** What a session hears of the host: marks for its next pass, and what can't wait for one. */
import { parseInterfaceName } from '../../render/names.ts';
import type { HostEventBus } from '../../watchers/events.ts';
import { linkExists } from '../host/container-runtime.ts';
import { asksAtStart, containerId } from '../host/containers.ts';
import type { HostReader } from '../host/host-reader.ts';
import type { DirtyParts } from '../pass/dirty.ts';
import { markEvents } from './mark-events.ts';
import type { SessionOptions } from './session-options.ts';

type Listening = Pick<SessionOptions, 'configFile' | 'applier' | 'traffic' | 'isOurProcess' | 'log' | 'onShutdown'> & {
  readonly reader: HostReader;
  /** Asks for a pass, and gives what it is to read again. */
  readonly mark: () => DirtyParts;
  /** By and by. */
  readonly markLater: () => DirtyParts;
};

export function listenToHost(bus: HostEventBus, options: Listening): void {
  const { configFile, applier, traffic, isOurProcess, log, onShutdown, reader, mark } = options;
  markEvents(bus, {
    mark,
    markLater: options.markLater,
    exists: (dev) => {
      const name = parseInterfaceName(dev);
      return name !== undefined && linkExists(name);
    },
    isVeth: (name) => reader.isVeth(name),
    hasBridges: () => reader.hasBridges,
    ownerOf: (veth) => reader.ownerOf(veth),
    noteLink: (id, name, deleted) => reader.runtimes.noteLink(id, name, deleted),
    asksAtStart: ({ lxcPath, name }) => {
      const known = reader.known.get(containerId(lxcPath, name));
      return known !== undefined && asksAtStart(known.lxc);
    },
    hasUplinks: () => reader.uplinks.facts !== undefined,
    isProxied: (address) => applier.repairs.isProxied(address),
    isWritten: (values) => applier.repairs.isWritten(values),
    isOurProcess,
    isShaped: (dev) => traffic.concerns(dev),
    configFile,
  });
  bus.on('containerStateChanged', ({ lxcPath, name, state }) => {
    const id = containerId(lxcPath, name);
    reader.runtimes.noteState(id, state);
    if (!reader.known.has(id)) reader.runtimes.forgetEnd(id);
  });
  bus.on('shutdownPrepared', ({ begins }) => {
    log('info', begins ? 'the host is going down' : 'the host stays up after all');
    onShutdown(begins);
  });
}
