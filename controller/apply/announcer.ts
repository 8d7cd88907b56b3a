/**
 * Sends raw Ethernet frames: Node has no packet sockets, and `arping` can't speak for an address that isn't the
 * host's own. perl-base is part of every Debian system; it stays as a child, so that a frame costs no fork.
 */
import type { InterfaceName } from '../../render/names.ts';
import type { Resident, StartResident } from '../commands/run.ts';

/** Reads `INTERFACE HEX` a line. AF_PACKET 17, SOCK_RAW 3, SIOCGIFINDEX 0x8933; sockaddr_ll is family, protocol, index. */
const SENDER = `
$0 = 'routewall: announces addresses';
socket(my $s, 17, 3, 0) or die "packet socket: $!\\n";
while (<STDIN>) {
  my ($name, $hex) = split;
  my $request = pack('a16x24', $name);
  ioctl($s, 0x8933, $request) or do { warn "$name: $!\\n"; next };
  my $index = unpack('x16i', $request);
  my $frame = pack('H*', $hex);
  my $address = pack('Sa2iSCCa8', 17, substr($frame, 12, 2), $index, 0, 0, 6, substr($frame, 0, 6));
  send($s, $frame, 0, $address) or warn "$name: $!\\n";
}
`;

export interface Announcer {
  send(dev: InterfaceName, frame: Uint8Array): void;
  stop(): void;
}

/** `complain` gets what can't be sent; an announcement that is lost costs time, not safety. */
export function openAnnouncer(start: StartResident, complain: (message: string) => void): Announcer {
  let child: Resident | undefined;
  // What is announced a second time may be due by then: another child would keep the process from its end.
  let isStopped = false;
  function started(): Resident {
    if (child !== undefined) return child;
    const fresh = start('perl', ['-e', SENDER]);
    fresh.onErrorOutput((text) => complain(`announcement: ${text.trim()}`));
    fresh.onEnd((cause) => {
      if (child !== fresh) return;
      child = undefined;
      complain(`announcement: ${cause.message}`);
    });
    child = fresh;
    return fresh;
  }
  return {
    send: (dev, frame) => {
      if (!isStopped) started().write(`${dev} ${Buffer.from(frame).toString('hex')}\n`);
    },
    stop: () => {
      isStopped = true;
      const ended = child;
      child = undefined;
      ended?.kill();
    },
  };
}
