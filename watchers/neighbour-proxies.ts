/**
 * Tells of neighbour proxies that went. The kernel announces none of them, so a resident perl asks it for all, twice a
 * second: with 2,000 of them a question takes it 1 ms, where a fork of ip alone takes 2.
 */
import type { HostEventBus, Watcher } from './events.ts';
import { type Backoff, lineProcess } from './line-process.ts';

/**
 * Prints `listed` after the first answer, then `lost ADDRESS` for each entry of an answer that a later one lacks; ten times
 * unless it is there again, since one that was put back and taken away again between two questions looks the same.
 * RTM_GETNEIGH is 30, its answers are of the type 28, NLM_F_REQUEST | NLM_F_DUMP is 0x301, NTF_PROXY 8; the address is
 * the attribute 1. Sequence and port are the same each time, so that equal lists are equal bytes.
 */
const SCRIPT = `
use strict; use Socket 'inet_ntop'; $| = 1;
$0 = 'routewall: watches neighbour proxies';
my $seconds = shift;
socket(my $s, 16, 3, 0) or die "socket: $!\\n";
sub ask {
  my $list = '';
  send($s, pack('LSSLLCCSlSCC', 28, 30, 0x301, 1, 0, 0, 0, 0, 0, 0, 8, 0), 0) or die "send: $!\\n";
  while (1) {
    defined recv($s, my $part, 65536, 0) or die "recv: $!\\n";
    for (my $at = 0; $at < length $part; ) {
      my ($size, $type, $flags) = unpack('LSS', substr($part, $at, 8));
      die "error\\n" if $type == 2 or $size < 16;
      # The list changed while it was told, and may lack what is there.
      return undef if $flags & 0x10;
      return $list if $type == 3;
      $list .= substr($part, $at, ($size + 3) & ~3);
      $at += ($size + 3) & ~3;
    }
  }
}
sub entries {
  my ($list, %found) = (shift);
  for (my $at = 0; $at < length $list; ) {
    my ($size, $type, $family, $link) = unpack('LSx10Cx3l', substr($list, $at, 24));
    for (my $to = $at + 28; $type == 28 && $to + 4 <= $at + $size; ) {
      my ($length, $kind) = unpack('SS', substr($list, $to, 4));
      last if $length < 4;
      $found{"$link " . substr($list, $to + 4, $length - 4)} = inet_ntop($family, substr($list, $to + 4, $length - 4)) if $kind == 1;
      $to += ($length + 3) & ~3;
    }
    $at += ($size + 3) & ~3;
  }
  return \\%found;
}
my ($known, %lost);
while (1) {
  my $list = ask();
  if (defined $list) {
    if (!defined $known) { print "listed\\n" }
    elsif ($known ne $list) {
      my ($before, $now) = (entries($known), entries($list));
      $lost{$_} = [10, $before->{$_}] for grep { !exists $now->{$_} } keys %$before;
    }
    if (%lost) {
      my $now = entries($list);
      for (keys %lost) {
        if (exists $now->{$_} or !$lost{$_}[0]--) { delete $lost{$_} }
        else { print "lost $lost{$_}[1]\\n" }
      }
    }
    $known = $list;
  }
  select(undef, undef, undef, $seconds);
  exit if getppid() == 1;
}
`;

export interface NeighbourProxiesOptions {
  readonly command?: string;
  readonly seconds?: number;
  readonly backoff?: Backoff;
}

export function watchNeighbourProxies(bus: HostEventBus, options: NeighbourProxiesOptions = {}): Watcher {
  const child = lineProcess({
    command: options.command ?? 'perl',
    args: ['-e', SCRIPT, String(options.seconds ?? 0.5)],
    ...(options.backoff && { backoff: options.backoff }),
    onStart: () => undefined,
    onLine: (line) => {
      if (line === 'listed') bus.emit('synced', { source: 'neighbour-proxies' });
      else if (line.startsWith('lost ')) bus.emit('proxyLost', { address: line.slice('lost '.length) });
    },
    onFailure: (failure) => bus.emit('watcherFailed', { source: 'neighbour-proxies', ...failure }),
  });
  return { start: async () => child.start(), stop: () => child.stop() };
}
