/**
 * Sends datagrams to a unix socket. Node has none of that kind; a resident perl sends a message in 7 µs, where a fork of
 * `systemd-notify` or `logger` takes 7 ms and may be gone before its receiver has asked who it was.
 */
import type { Resident, StartResident } from '../commands/run.ts';

/** Reads a message in hex a line. AF_UNIX 1, SOCK_DGRAM 2; a socket whose name begins with @ has no file. */
const SENDER = `
my $name = shift; $0 = "routewall: tells $name"; $name =~ s/^@/\\0/;
socket(my $s, 1, 2, 0) or die "socket: $!\\n";
while (<STDIN>) { chomp; send($s, pack('H*', $_), 0, pack('Sa*', 1, $name)) or warn "$!\\n" }
`;

/** `undefined` ends the child; the next message starts another. */
export type DatagramSender = (message: string | undefined) => void;

export function openDatagramSender(
  socket: string,
  start: StartResident,
  complain: (message: string) => void,
): DatagramSender {
  let child: Resident | undefined;
  const started = (): Resident => {
    if (child !== undefined) return child;
    const fresh = start('perl', ['-e', SENDER, socket]);
    fresh.onErrorOutput((text) => complain(text.trim()));
    fresh.onEnd((cause) => {
      if (child !== fresh) return;
      child = undefined;
      complain(cause.message);
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
