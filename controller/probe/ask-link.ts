/**
 * Asks the neighbours on an uplink's link who has an address, and listens for a second: by packet sockets, which Node
 * hasn't. The kernel's own way (`ip neigh … use`) would do without, but it would leave entries behind, and never see what
 * our rules drop: a neighbour advertisement comes from the very address that a container is to have.
 */
import type { Address } from '../../render/address.ts';
import type { InterfaceName } from '../../render/names.ts';
import type { StreamLines } from '../commands/run.ts';

export interface Question {
  readonly address: Address;
  readonly dev: InterfaceName;
  /** As `renderSolicitation` gives it. */
  readonly frame: Uint8Array;
}

export interface Answers<Q extends Question> {
  /** Somebody has it: its MAC (`02:00:00:00:00:01`), which may be one of this host's own. */
  readonly onAnswer: (question: Q, mac: string) => void;
  /** Whoever has not answered by now is slow, or isn't there. */
  readonly onSilence: () => void;
}

/** After this, silence counts; answers are still told until the end. Kernels answer for others after up to 0.8 s. */
const SILENCE_SECONDS = 0.1;
const END_SECONDS = 1;

/**
 * Reads `NUMBER INTERFACE FRAME` a line; prints `NUMBER MAC` for an answer, and `silent`. Each frame is sent twice, since one
 * may be lost. AF_PACKET 17, SOCK_RAW 3, SIOCGIFINDEX 0x8933, SO_ATTACH_FILTER 26; sockaddr_ll is family, protocol, index.
 * The filter passes neighbour advertisements: without it the socket would get all of the uplink's IPv6, and lose ours.
 */
const SCRIPT = `
use strict; use Socket 'SOL_SOCKET'; $| = 1;
my ($silence, $end) = @ARGV;
my (%sockets, %asked, @frames);
my $filter = pack '(SCCL)*', 0x30,0,0,20, 0x15,0,3,58, 0x30,0,0,54, 0x15,0,1,136, 6,0,0,0xffff, 6,0,0,0;
# perl-base has no finer clock, and this one is nobody's to set.
sub now { open my $f, '<', '/proc/uptime' or die "/proc/uptime: $!\\n"; (split ' ', <$f>)[0] }
sub listening {
  my ($dev, $type) = @_;
  socket(my $s, 17, 3, 0) or die "packet socket: $!\\n";
  if ($type == 0x86dd) { setsockopt($s, SOL_SOCKET, 26, pack('S x![P] P', 6, $filter)) or die "filter: $!\\n" }
  my $request = pack('a16x24', $dev);
  ioctl($s, 0x8933, $request) or return undef;
  bind($s, pack('SnlSCCa8', 17, $type, unpack('x16i', $request), 0, 0, 0, '')) or return undef;
  return $s;
}
while (<STDIN>) {
  my ($number, $dev, $hex) = split;
  my $frame = pack 'H*', $hex;
  my $type = unpack 'x12n', $frame;
  $sockets{"$dev $type"} = [listening($dev, $type), $dev] unless exists $sockets{"$dev $type"};
  my $s = $sockets{"$dev $type"}[0] or next;
  $asked{$dev . ($type == 0x806 ? substr $frame, 38, 4 : substr $frame, 62, 16)} = $number;
  push @frames, [$s, $frame];
}
my @open = grep { defined $_->[0] } values %sockets;
sub hear {
  my ($s, $dev) = @_;
  for (1 .. 1000) {
    last unless defined recv($s, my $frame, 256, 0x40);
    next if length $frame < 42;
    my ($from, $type) = unpack 'x6a6n', $frame;
    my $has = substr $frame, 28, 4;
    if ($type == 0x806) { $from = substr $frame, 22, 6 }
    elsif (length $frame < 78 or unpack('x21C', $frame) != 255) { next }
    else { $has = substr $frame, 62, 16 }
    my $number = $asked{$dev . $has};
    print "$number ", join(':', unpack '(H2)6', $from), "\\n" if defined $number;
  }
}
# Unheard frames fill a socket's buffer, and answers come while we are still asking.
my $asking = sub { for (@frames) { send $_->[0], $_->[1], 0; hear(@$_) for @open } };
$asking->();
my $begin = now();
my @steps = ([$silence / 2, $asking], [$silence, sub { print "silent\\n" }], [$end, sub { exit }]);
while (1) {
  my ($at, $step) = @{$steps[0]};
  my $bits = '';
  vec($bits, fileno $_->[0], 1) = 1 for @open;
  my $left = $begin + $at - now();
  select $bits, undef, undef, $left > 0 ? $left : 0;
  hear(@$_) for @open;
  if (now() >= $begin + $at) { shift @steps; $step->() }
}
`;

/** Resolves at the end. @throws CommandError when nothing could be asked. */
export async function askLink<Q extends Question>(
  stream: StreamLines,
  questions: readonly Q[],
  { onAnswer, onSilence }: Answers<Q>,
): Promise<void> {
  const input = questions.map(({ dev, frame }, number) => `${number} ${dev} ${Buffer.from(frame).toString('hex')}\n`);
  const seconds = [SILENCE_SECONDS, END_SECONDS].map(String);
  for await (const lines of stream('perl', ['-e', SCRIPT, ...seconds], input.join(''))) {
    for (const line of lines) {
      const [number, mac] = line.split(' ');
      const question = questions[Number(number)];
      if (line === 'silent') onSilence();
      else if (question !== undefined && mac !== undefined) onAnswer(question, mac);
    }
  }
}
