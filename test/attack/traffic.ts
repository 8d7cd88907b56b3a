/** Packets without end: a stream that must arrive, numbered, and a flood that must not, with the moment of each mishap. */
import { eventually } from '../../sandbox/eventually.ts';
import type { Place } from '../../sandbox/place.ts';

/** What went wrong, at which moment in milliseconds since 1970. */
export interface Mishap {
  readonly kind: 'lost' | 'leaked';
  readonly at: number;
  readonly text: string;
}

/** A time in which a fault of that kind must be expected: there were no rules, or no wire. */
interface Window {
  readonly what: string;
  readonly kinds: readonly Mishap['kind'][];
  readonly from: number;
  readonly to: number;
}

export interface Traffic {
  /** Mishaps of these kinds are excused from now on, for that reason, until the answer is called. */
  excuse(what: string, ...kinds: readonly Mishap['kind'][]): () => void;
  /** Waits until a packet that is sent from now on has come back. @returns whether one had been lost before. */
  flows(): Promise<boolean>;
  /** Waits until of each packet that was sent so far it is known whether it was lost. */
  fates(): Promise<void>;
  /** How many mishaps each reason excused: `the uplink was down: 31 lost`. */
  excused(): readonly string[];
  /** Mishaps outside all windows, of packets sent so long ago that their fate is known. */
  unexcused(): readonly Mishap[];
  /** How many mishaps of that kind there were, excused ones too. */
  count(kind: Mishap['kind']): number;
  /** How many of the stream were sent. */
  sent(): number;
}

const PORT = 7777;
/** UDP, to anybody. */
export const FORBIDDEN = 9999;
/** Of the stream: between two words on how many were sent, by which the number is behind at most. */
const COUNTED = 100;
/** What a packet takes at most from the sender to the capture, on a machine with other things to do. */
const SLACK_MS = 100;

const ECHO = `
use IO::Socket::IP;
my $socket = IO::Socket::IP->new(Proto => 'udp', LocalHost => $ARGV[0], LocalPort => $ARGV[1]) or die $@;
# SO_RCVBUFFORCE: a machine that is busy for seconds loses nothing.
setsockopt($socket, 1, 33, 4 << 20);
$| = 1;
print "echoes\\n";
while (1) { my $peer = recv($socket, my $text, 64, 0); send($socket, $text, 0, $peer) if defined $peer; }
`;

/** One packet each 5 ms; one that has no echo after so many seconds is lost. */
const PATIENCE_S = 3;
const STREAM = `
use IO::Socket::IP;
use Time::HiRes qw(time);
my $socket = IO::Socket::IP->new(Proto => 'udp', PeerHost => $ARGV[0], PeerPort => $ARGV[1], Blocking => 0) or die $@;
setsockopt($socket, 1, 33, 4 << 20);
$| = 1;
print "streams\\n";
my ($next, %sent, @order) = (0);
while (1) {
  my $now = time;
  send($socket, $next, 0);
  $sent{$next} = $now;
  push @order, $next++;
  while (defined recv($socket, my $text, 64, 0)) {
    delete $sent{$text};
    print "echo $text\\n" if $text % 10 == 0;
  }
  while (@order && (!exists $sent{$order[0]} || $sent{$order[0]} < $now - ${PATIENCE_S})) {
    my $old = shift @order;
    printf "lost %d %.0f\\n", $old, 1000 * delete $sent{$old} if exists $sent{$old};
  }
  printf "sent %d %d\\n", $next, $order[0] // $next if $next % ${COUNTED} == 0;
  select(undef, undef, undef, 0.005);
}
`;

const FLOOD = `
use IO::Socket::IP;
my @sockets = map { IO::Socket::IP->new(Proto => 'udp', PeerHost => $_, PeerPort => $ARGV[0]) or die $@ } @ARGV[1 .. $#ARGV];
$| = 1;
print "floods\\n";
while (1) { send($_, 'x', 0) for @sockets; select(undef, undef, undef, 0.001) }
`;

export interface Wiring {
  /** Sends both. */
  readonly inside: Place;
  readonly outside: Place;
  /** Where forbidden packets would come out, by `eth0`. */
  readonly host: Place;
  readonly to: readonly [string, string];
}

/** Runs when it returns. Port 7777 is the allowed one; UDP to 9999 and echo requests are forbidden to everybody. */
export async function startTraffic({ inside, outside, host, to }: Wiring): Promise<Traffic> {
  const mishaps: Mishap[] = [];
  const windows: Window[] = [];
  let [sent, open, echoed] = [0, 0, 0];
  const filter = `udp dst port ${FORBIDDEN} or icmp[icmptype] == icmp-echo or (icmp6 and ip6[40] == 128)`;
  const capture = host.spawn('tcpdump', ['-tt', '-n', '-l', '--immediate-mode', '-Q', 'out', '-i', 'eth0', filter], {
    onLine: (text) => {
      const at = 1000 * Number.parseFloat(text);
      if (at > 0) mishaps.push({ kind: 'leaked', at, text });
    },
  });
  await capture.waitForLine(/listening on/);
  const echo = outside.spawn('perl', ['-e', ECHO, to[0], String(PORT)]);
  await echo.waitForLine(/echoes/);
  const stream = inside.spawn('perl', ['-e', STREAM, to[0], String(PORT)], {
    onLine: (text) => {
      const [word, ...numbers] = text.split(' ');
      const [first = 0, second = 0] = numbers.map(Number);
      if (word === 'sent') [sent, open] = [first, second];
      if (word === 'echo') echoed = first;
      if (word === 'lost') mishaps.push({ kind: 'lost', at: second, text });
    },
  });
  inside.spawn('perl', ['-e', FLOOD, String(FORBIDDEN), ...to]);
  stream.exited.catch(() => undefined);
  return {
    sent: () => sent,
    count: (wanted) => mishaps.filter(({ kind }) => kind === wanted).length,
    flows: async () => {
      const [lost, now] = [mishaps.length, sent + COUNTED];
      await eventually('the stream goes on', () => echoed > now, 60_000).catch((cause: unknown) => {
        const last = mishaps.findLast(({ kind }) => kind === 'lost')?.text ?? 'none is known to be lost';
        throw new Error(
          `${String(cause)}: ${sent} sent, at most ${now} of them before, the last echo of ${echoed}, ${last}`,
        );
      });
      return mishaps.length > lost || echoed > now;
    },
    fates: async () => {
      const now = sent + COUNTED;
      await eventually('the fate of all is known', () => open >= now, 60_000);
    },
    excused: () => {
      const all = new Map<string, number>();
      for (const mishap of mishaps) {
        const window = windows.find((one) => covers(one, mishap));
        const what = `${window?.what ?? 'no reason'}: ${mishap.kind}`;
        all.set(what, (all.get(what) ?? 0) + 1);
      }
      return [...all].map(([what, count]) => `${what} ${count}`).sort();
    },
    excuse: (what, ...kinds) => {
      const from = Date.now() - SLACK_MS;
      const open: Window = { what, kinds, from, to: Number.POSITIVE_INFINITY };
      windows.push(open);
      return () => void windows.splice(windows.indexOf(open), 1, { ...open, to: Date.now() + SLACK_MS });
    },
    unexcused: () => mishaps.filter((mishap) => !windows.some((window) => covers(window, mishap))),
  };
}

const covers = ({ kinds, from, to }: Window, { kind, at }: Mishap): boolean =>
  kinds.includes(kind) && from <= at && at <= to;
