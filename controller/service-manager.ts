/** Tells systemd how the service is (sd_notify(3)). */
import { createRetryTimes } from '../watchers/retry-times.ts';
import { openDatagramSender } from './apply/datagram-sender.ts';
import type { StartResident } from './commands/run.ts';
import type { Log } from './log.ts';

export interface ServiceManager {
  /** Readiness, or the end of a reload. */
  ready(status: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  reloading(): void;
  stopping(): void;
  /** Feeds the watchdog as long as `isAlive` says so; asked several times in each of its periods. */
  feedWatchdog(isAlive: (periodMs: number) => boolean): void;
  stop(): void;
}

/** Without NOTIFY_SOCKET nobody wants to know, and nothing is done. */
export function openServiceManager(
  env: Readonly<Record<string, string | undefined>>,
  start: StartResident,
  log: Log,
): ServiceManager {
  const socket = env['NOTIFY_SOCKET'];
  const send =
    socket === undefined || !/^[/@]./.test(socket)
      ? () => undefined
      : openDatagramSender(socket, start, (text) => {
          log('warning', `service manager: ${text}`);
          tellLater();
        });
  const retryTimes = createRetryTimes();
  let again: NodeJS.Timeout | undefined;
  let timer: NodeJS.Timeout | undefined;
  let shown = '';
  let isReady = false;
  const tell = (): void => send(`${isReady ? 'READY=1\n' : ''}STATUS=${oneLine(shown)}`);
  /** What was lost may have been that it is ready, for want of which systemd would end it. */
  const tellLater = (): void => {
    clearTimeout(again);
    again = setTimeout(tell, retryTimes.next()).unref();
  };
  return {
    ready: (status) => {
      shown = status;
      isReady = true;
      retryTimes.reset();
      tell();
    },
    status: (text) => {
      if (text !== shown) send(`STATUS=${oneLine(text)}`);
      shown = text;
    },
    reloading: () => {
      isReady = false;
      send('RELOADING=1');
    },
    stopping: () => {
      isReady = false;
      send('STOPPING=1');
    },
    feedWatchdog: (isAlive) => {
      const periodMs = watchdogPeriod(env);
      if (periodMs === undefined || socket === undefined) return;
      timer = setInterval(() => {
        if (isAlive(periodMs)) send('WATCHDOG=1');
      }, periodMs / 3);
    },
    stop: () => {
      clearInterval(timer);
      clearTimeout(again);
      send(undefined);
    },
  };
}

/** In milliseconds; systemd names the process that it expects to hear from. */
function watchdogPeriod(env: Readonly<Record<string, string | undefined>>): number | undefined {
  const pid = env['WATCHDOG_PID'];
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  const microseconds = Number(env['WATCHDOG_USEC']);
  return microseconds > 0 ? microseconds / 1000 : undefined;
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ');
