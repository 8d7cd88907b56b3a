/**
 * Tells systemd how the service is (sd_notify(3)). Node has no datagram sockets of the unix kind; a resident perl sends
 * a message in 7 µs, where a fork of `systemd-notify` takes 7 ms and may be gone before systemd has asked who it was.
 */
import type { Log } from './log.ts';
import type { Resident, StartResident } from './run.ts';

/** Reads a message in hex a line. AF_UNIX 1, SOCK_DGRAM 2; a socket whose name begins with @ has no file. */
const SENDER = `
my $name = shift; $name =~ s/^@/\\0/;
socket(my $s, 1, 2, 0) or die "socket: $!\\n";
while (<STDIN>) { chomp; send($s, pack('H*', $_), 0, pack('Sa*', 1, $name)) or warn "$!\\n" }
`;

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
  const send = socket === undefined || !/^[/@]./.test(socket) ? () => undefined : openSender(socket, start, log);
  let timer: NodeJS.Timeout | undefined;
  let shown = '';
  return {
    ready: (status) => {
      shown = status;
      send(`READY=1\nSTATUS=${oneLine(status)}`);
    },
    status: (text) => {
      if (text !== shown) send(`STATUS=${oneLine(text)}`);
      shown = text;
    },
    reloading: () => send('RELOADING=1'),
    stopping: () => send('STOPPING=1'),
    feedWatchdog: (isAlive) => {
      const periodMs = watchdogPeriod(env);
      if (periodMs === undefined || socket === undefined) return;
      timer = setInterval(() => {
        if (isAlive(periodMs)) send('WATCHDOG=1');
      }, periodMs / 3);
    },
    stop: () => {
      clearInterval(timer);
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

/** `undefined` ends it. */
function openSender(socket: string, start: StartResident, log: Log): (message: string | undefined) => void {
  let child: Resident | undefined;
  const started = (): Resident => {
    if (child !== undefined) return child;
    const fresh = start('perl', ['-e', SENDER, socket]);
    fresh.onErrorOutput((text) => log('warning', `service manager: ${text.trim()}`));
    fresh.onEnd((cause) => {
      if (child !== fresh) return;
      child = undefined;
      log('warning', `service manager: ${cause.message}`);
    });
    child = fresh;
    return fresh;
  };
  return (message) => {
    if (message !== undefined) return started().write(`${Buffer.from(message).toString('hex')}\n`);
    const ended = child;
    child = undefined;
    ended?.kill();
  };
}
