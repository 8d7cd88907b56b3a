/** Packets without end, in both families, and the proof that none of them came through. */
import { startCapture } from '../../sandbox/capture.ts';
import type { Place } from '../../sandbox/place.ts';

/** Never stops by itself and minds no refusal; half a millisecond between two packets. */
const SENDER = `
use IO::Socket::IP;
my @sockets = map { IO::Socket::IP->new(Proto => 'udp', PeerHost => $_, PeerPort => $ARGV[0]) or die "$_: $@" } @ARGV[1 .. $#ARGV];
$| = 1;
print "floods\\n";
while (1) { send($_, 'x', 0) for @sockets; select(undef, undef, undef, 0.0005) }
`;

export interface Flood {
  /** Packets seen so far. */
  readonly leaked: () => readonly string[];
  stop(): Promise<void>;
}

/** Sends UDP to the port of those addresses, and captures at the interface where it would come out. */
export async function startFlood(
  from: Place,
  {
    to,
    port,
    exit,
  }: {
    readonly to: readonly string[];
    readonly port: number;
    readonly exit: { readonly place: Place; readonly device: string };
  },
): Promise<Flood> {
  const capture = await startCapture(exit.place, {
    device: exit.device,
    filter: `udp dst port ${port}`,
    direction: 'out',
  });
  const sender = from.spawn('perl', ['-e', SENDER, String(port), ...to]);
  await sender.waitForLine(/floods/);
  return {
    leaked: () => capture.lines(),
    stop: async () => {
      await sender.stop('SIGKILL');
      await capture.stop();
    },
  };
}
