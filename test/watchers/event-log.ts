/** What a bus told, in order, and waiting for it with a deadline. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createHostEventBus, type HostEventBus, type HostEvents } from '../../watchers/events.ts';

type Told = { [K in keyof HostEvents]: { readonly event: K } & Parameters<HostEvents[K]>[0] }[keyof HostEvents];

export interface EventLog {
  readonly bus: HostEventBus;
  readonly told: Told[];
  all<K extends Told['event']>(event: K): Extract<Told, { event: K }>[];
  /** Waits until the condition holds; fails with what was told instead. */
  until(what: string, condition: () => boolean, deadlineMs?: number): Promise<void>;
}

export function logEvents(bus: HostEventBus = createHostEventBus()): EventLog {
  const told: Told[] = [];
  bus.on('containerConfigChanged', (e) => told.push({ event: 'containerConfigChanged', ...e }));
  bus.on('containerStateChanged', (e) => told.push({ event: 'containerStateChanged', ...e }));
  bus.on('linkChanged', (e) => told.push({ event: 'linkChanged', ...e }));
  bus.on('addressChanged', (e) => told.push({ event: 'addressChanged', ...e }));
  bus.on('routeChanged', (e) => told.push({ event: 'routeChanged', ...e }));
  bus.on('proxyLost', (e) => told.push({ event: 'proxyLost', ...e }));
  bus.on('sysctlChanged', (e) => told.push({ event: 'sysctlChanged', ...e }));
  bus.on('rulesetCommitted', (e) => told.push({ event: 'rulesetCommitted', ...e }));
  bus.on('policyFileChanged', (e) => told.push({ event: 'policyFileChanged', ...e }));
  bus.on('synced', (e) => told.push({ event: 'synced', ...e }));
  bus.on('watcherFailed', (e) => told.push({ event: 'watcherFailed', ...e }));
  const all = <K extends Told['event']>(event: K) =>
    told.filter((one): one is Extract<Told, { event: K }> => one.event === event);
  return {
    bus,
    told,
    all,
    async until(what, condition, deadlineMs = 20_000) {
      const deadline = Date.now() + deadlineMs;
      while (!condition()) {
        if (Date.now() > deadline) throw new Error(`never ${what}; told: ${JSON.stringify(told.slice(-20))}`);
        await sleep(10);
      }
    },
  };
}

/** Long enough for an event that should not come to have come; the event is caught later if the machine is slower. */
export const quiet = (): Promise<void> => sleep(250);
