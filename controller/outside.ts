/** What the outside sees of the daemon: systemd, D-Bus, and the rules for the next boot. */

import type { Applier } from './apply/apply.ts';
import type { ForkServer } from './commands/fork-server.ts';
import type { Controls } from './control/controls.ts';
import type { DaemonOptions } from './daemon-options.ts';
import { createMethods } from './dbus/methods.ts';
import { type BusService, createBusService } from './dbus/service.ts';
import { describeProperties, tellReport } from './dbus/tell-report.ts';
import type { Log } from './log.ts';
import type { Panic } from './panic/panic.ts';
import { isPanic, type PanicState } from './panic/panic-state.ts';
import type { AddressClaims } from './probe/address-claims.ts';
import type { ServiceManager } from './service-manager.ts';
import type { Session } from './session/session.ts';
import type { BootRuleset } from './state/boot-ruleset.ts';
import { enforcedCount } from './status/enforced-count.ts';
import type { Report, Reporter } from './status/report.ts';

export interface OutsideOptions {
  readonly log: Log;
  readonly policyFolder: string;
  readonly readConfig: DaemonOptions['readConfig'];
  readonly controls: Controls;
}

export interface OutsideParts {
  readonly reporter: Reporter;
  readonly serviceManager: ServiceManager;
  readonly bootRuleset: BootRuleset;
  readonly panic: Panic;
  readonly applier: Applier;
  readonly claims: AddressClaims;
  readonly forks: ForkServer;
  readonly listeners: ((report: Report) => void)[];
}

export interface Outside {
  /** A container may not start. */
  refused(container: string, reason: string): void;
  /** Everything is read again; over with the next pass that ends well. */
  reloading(): void;
  /** The host is about to go down, or won't after all. */
  shutdown(begins: boolean): void;
  stop(): void;
}

/** Everything begins with the first pass that ended well: before it there is nothing to tell. */
export function openOutside(
  options: OutsideOptions,
  { reporter, serviceManager, bootRuleset, panic, applier, claims, forks, listeners }: OutsideParts,
  session: () => Session | undefined,
): Outside {
  let latest: Report | undefined;
  let isReady = false;
  let isReloading = false;
  const service: BusService = createBusService({
    log: options.log,
    properties: () => describeProperties(latest),
    methods: createMethods({
      ...options,
      configProblems: async () => (await options.readConfig()).problems,
      session,
      run: forks.run,
      kernel: {
        mark: async () => (await applier.proof.lookAtKernel())?.kernel,
        // What waits for the link's answer isn't in the kernel, though a comparison finds nothing to do.
        isProven: async (desired, kernel) =>
          !claims.isAsking && (await applier.proven(desired, { kernel, files: undefined })) !== undefined,
      },
      known: () => latest && { reader: latest.reader, assembled: latest.outcome.assembled, panic: panic.state },
      status: () => reporter.status(),
    }),
  });
  serviceManager.feedWatchdog((periodMs) => isAlive(session(), periodMs));

  const begin = async (): Promise<void> => {
    // Whoever is started after us may call us: the name comes before the readiness.
    await service.start();
    isReady = true;
    serviceManager.ready(statusLine(latest, panic.state));
  };
  listeners.push((report) => {
    const isFirst = latest === undefined;
    latest = report;
    // The next boot begins with what was confirmed.
    if (!report.outcome.choice.isUnconfirmed) bootRuleset.keep(report.outcome.applied.enforced);
    if (isFirst) void begin();
    else tellReport(report, service);
    if (isReloading) serviceManager.ready(statusLine(report, panic.state));
    else if (isReady) serviceManager.status(statusLine(report, panic.state));
    isReloading = false;
  });
  return {
    refused: (container, reason) => service.emit('ContainerRefused', container, reason),
    reloading: () => {
      if (!isReady) return;
      isReloading = true;
      serviceManager.reloading();
    },
    shutdown: (begins) => (begins ? void bootRuleset.freeze() : bootRuleset.thaw()),
    stop: () => service.stop(),
  };
}

/** The event loop turns, or it couldn't ask; a pass that doesn't end is as bad. */
const isAlive = (session: Session | undefined, periodMs: number): boolean =>
  session?.passBegan === undefined || performance.now() - session.passBegan < periodMs;

function statusLine(report: Report | undefined, panic: PanicState): string {
  if (report === undefined) return 'starting';
  const { nics } = report.outcome.applied.enforced;
  const containers = enforcedCount(nics);
  const problems = report.problemCount === 0 ? 'no problems' : `${report.problemCount} problems, see routewall status`;
  const sealed = panic.all === null ? [...panic.containers.keys()].join(', ') : 'all containers';
  const head = isPanic(panic) ? `PANIC, sealed: ${sealed}; ` : '';
  return `${head}${containers} of ${report.reader.known.size} containers enforced; ${problems}`;
}
