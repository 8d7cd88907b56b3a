/** Fills a namespace's table of tracked connections by netlink: so many packets would take minutes. */
import type { Place } from './place.ts';

/** One UDP connection for each port and server. Message NEW with TUPLE_ORIG 1, TUPLE_REPLY 2, STATUS 3, TIMEOUT 7. */
const FILLER = String.raw`
use strict;
use Socket;
my ($from, $server, $port, $count) = @ARGV;
socket(my $netlink, 16, 3, 12) or die "netlink: $!\n";
sub attribute { my ($type, $data) = @_; pack('SS', 4 + length $data, $type) . $data . "\0" x (-length($data) & 3) }
sub tuple {
  my ($type, $source, $target, $sport, $dport) = @_;
  my $ports = attribute(1, pack 'C', 17) . attribute(2, pack 'n', $sport) . attribute(3, pack 'n', $dport);
  return attribute($type, attribute(0x8001, attribute(1, $source) . attribute(2, $target)) . attribute(0x8002, $ports));
}
my ($source, $first, $batch) = (inet_aton($from), unpack('N', inet_aton($server)), '');
for my $index (1 .. $count) {
  my ($target, $sport) = (pack('N', $first + int($index / 60000)), 1024 + $index % 60000);
  my $data = tuple(0x8001, $source, $target, $sport, $port) . tuple(0x8002, $target, $source, $port, $sport)
    . attribute(3, pack 'N', 14) . attribute(7, pack 'N', 3600);
  my $asks = $index % 100 == 0 || $index == $count;
  $batch .= pack('ISSIICxS', 20 + length $data, 256, 0x601 | ($asks ? 4 : 0), $index, 0, 2, 0) . $data;
  next unless $asks;
  send($netlink, $batch, 0) or die "netlink: $!\n";
  $batch = '';
  recv($netlink, my $answer, 65536, 0);
  my $code = unpack('x16i', $answer);
  if ($code < 0) { $! = -$code; die "netlink: $!\n" }
}
`;

/** From `source` to `port` of `server` and, beyond 60,000, of the addresses after it; IPv4. */
export async function trackConnections(
  place: Place,
  {
    source,
    server,
    port,
    count,
  }: { readonly source: string; readonly server: string; readonly port: number; readonly count: number },
): Promise<void> {
  // Without a rule that asks about connections, a namespace tracks none.
  await place.run('perl', ['-e', FILLER, source, server, String(port), String(count)], { timeout: 120_000 });
}

/** How many the place tracks. */
export async function countTracked(place: Place): Promise<number> {
  return Number((await place.run('cat', ['/proc/sys/net/netfilter/nf_conntrack_count'])).stdout);
}
