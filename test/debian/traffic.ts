/** Traffic that must go on, and traffic that must not come through, while something happens to the host. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Place } from '../../sandbox/place.ts';
import { probe, type Target } from '../../sandbox/services.ts';

export interface Steady {
  /** Ends it; what got an answer, and what didn't although a later one did. */
  stop(): Promise<{ readonly answered: number; readonly lost: readonly number[] }>;
}

/** One flow of echo requests, 100 a second; answers when it returns. */
export async function startPings(from: Place, to: string): Promise<Steady> {
  const child = from.spawn('ping', ['-n', '-i', '0.01', to]);
  await child.waitForLine(/icmp_seq=/);
  return {
    stop: async () => {
      await child.stop('SIGINT');
      const answers = child.lines.flatMap((line) => {
        const number = /bytes from .*icmp_seq=(\d+) /.exec(line)?.[1];
        return number === undefined ? [] : [Number(number)];
      });
      const seen = new Set(answers);
      const lost = Array.from({ length: Math.max(0, ...answers) }, (_, index) => index + 1);
      return { answered: seen.size, lost: lost.filter((number) => !seen.has(number)) };
    },
  };
}

/** New connections, one after the other, each by a flow of its own. */
export function startConnections(from: Place, target: Target): Steady {
  let [going, answered] = [true, 0];
  const lost: number[] = [];
  const loop = async (): Promise<void> => {
    for (let number = 1; going; number += 1) {
      if ((await probe(from, { ...target, timeout: 2_000 })) === 'allowed') answered += 1;
      else lost.push(number);
      // What it is tried on shall have some of the processor too.
      await sleep(10);
    }
  };
  const ended = loop();
  return {
    stop: async () => {
      going = false;
      await ended;
      return { answered, lost };
    },
  };
}

/** Minds no refusal. */
const FLOOD = `
use IO::Socket::IP;
my @sockets = map { IO::Socket::IP->new(Proto => 'udp', PeerHost => $_, PeerPort => $ARGV[0]) or die "$_: $@" } @ARGV[1 .. $#ARGV];
$| = 1;
print "floods\\n";
while (1) { send($_, 'x', 0) for @sockets; select(undef, undef, undef, 0.004) }
`;

/** Datagrams to the port of those addresses, about 250 a second to each; the answer ends it. */
export async function startFlood(from: Place, port: number, to: readonly string[]): Promise<() => Promise<void>> {
  const child = from.spawn('perl', ['-e', FLOOD, String(port), ...to]);
  await child.waitForLine(/floods/);
  return async () => void (await child.stop('SIGKILL'));
}
