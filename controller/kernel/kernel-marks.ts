/** A short word for what the kernel holds: while it is the same, so are all rules, routes, proxies, links and their settings. */
import { openChannel } from '../commands/channel.ts';
import type { StartResident } from '../commands/run.ts';

export interface KernelMarks {
  /** `undefined`: nothing is certain, as while something changes. Never throws. */
  read(): Promise<string | undefined>;
  stop(): void;
}

/** What hangs costs a comparison, which is made then as if there were no marks. */
const PATIENCE_MS = 1000;

/**
 * A resident perl, for which a look takes 15 ms at 1,000 veths; `nft` and `ip` take 20 times that, and as long again to be read.
 *
 * Of rules, it tells the generation that the kernel counts up with each commit in this network namespace, whoever commits:
 * NFT_MSG_GETGEN, 0xA10. Nothing of ours goes by itself: a set whose elements time out is dynamic, and compared by nobody. Of
 * all else it holds the kernel's answers, and counts how often they differ from those before: RTM_GETLINK 18 without
 * statistics (IFLA_EXT_MASK 29, RTEXT_FILTER_SKIP_STATS 8), RTM_GETADDR 22, RTM_GETROUTE 26 of protocol 119, which
 * NETLINK_GET_STRICT_CHK 12 makes the kernel choose, and RTM_GETNEIGH 30 of proxies. Where the bytes differ, only what somebody
 * reads counts: lifetimes and the timers of bridges go on all the time. Of a link: IFLA_ADDRESS 1, IFNAME 3, LINK 5, MASTER 10,
 * LINK_NETNSID 37, and in AF_SPEC 26 the settings below net/ipv4/conf and net/ipv6/conf (CONF 1 and 2).
 */
const PROGRAM = String.raw`
use strict;
$| = 1;
my ($rules, $route) = map { socket(my $s, 16, 3, $_) or die "netlink: $!\n"; $s } 12, 0;
setsockopt($route, 270, 12, pack('i', 1)) or die "netlink: $!\n";
my @asked = ([18, pack('x16SSL', 8, 29, 8)], [22, pack('x8')], map([26, pack('Cx4Cx6', $_, 119)], 2, 10), [30, pack('x10Cx', 8)]);
my %read = (
  16 => [16, {1 => 1, 3 => 1, 5 => 1, 10 => 1, 37 => 1, 26 => {2 => {1 => 1}, 10 => {2 => 1}}}],
  20 => [8, {map { $_ => 1 } 1 .. 5, 7 .. 11}],
);
my ($known, $meaning, $count) = ('', '', 0);

sub ask {
  my ($socket, $type, $flags, $body) = @_;
  send($socket, pack('LSSLL', 16 + length $body, $type, $flags, 1, 0) . $body, 0) or die "netlink: $!\n";
}
sub generation {
  ask($rules, 0xA10, 1, pack('x4'));
  defined recv($rules, my $answer, 4096, 0) or die "netlink: $!\n";
  # Its one attribute of interest, NFTA_GEN_ID, stands first.
  my ($type, $attribute, $value) = unpack('x4Sx16SN', $answer);
  die "netlink: no generation\n" if $type != 0xA0F or $attribute != 1;
  return $value;
}
sub dump_all {
  my ($type, $body) = @_;
  ask($route, $type, 0x301, $body);
  my ($list, $changed) = ('', 0);
  while (1) {
    defined recv($route, my $part, 1 << 18, 0) or die "netlink: $!\n";
    for (my $at = 0; $at < length $part; ) {
      my ($size, $kind, $flags) = unpack('LSS', substr($part, $at, 8));
      die "netlink: error\n" if $kind == 2 or $size < 16;
      $changed ||= $flags & 0x10;
      # The last answers may come with the end.
      return $changed ? undef : $list . substr($part, 0, $at) if $kind == 3;
      $at += ($size + 3) & ~3;
    }
    $list .= $part;
  }
}
sub attributes {
  my ($data, $wanted) = @_;
  my $found = '';
  for (my $at = 0; $at + 4 <= length $data; ) {
    my ($size, $type) = unpack('SS', substr($data, $at, 4));
    last if $size < 4;
    my $part = $wanted->{$type & 0x3fff};
    $found .= ref $part ? attributes(substr($data, $at + 4, $size - 4), $part) . "\0" : substr($data, $at, $size) if $part;
    $at += ($size + 3) & ~3;
  }
  return $found . pack('L', length $found);
}
sub meaning {
  my ($list) = @_;
  my $found = '';
  for (my $at = 0; $at < length $list; ) {
    my ($size, $type) = unpack('LS', substr($list, $at, 6));
    my ($head, $wanted) = @{$read{$type} || []};
    $found .= $wanted
      ? substr($list, $at + 16, $head) . attributes(substr($list, $at + 16 + $head, $size - 16 - $head), $wanted)
      : substr($list, $at, $size);
    $at += ($size + 3) & ~3;
  }
  return $found;
}
sub look {
  my $generation = generation();
  my $all = '';
  for (@asked) {
    my $list = dump_all(@$_);
    return 'changing' if !defined $list;
    $all .= $list;
  }
  if ($all ne $known) {
    my $now = meaning($all);
    $count++ if $now ne $meaning;
    ($known, $meaning) = ($all, $now);
  }
  return "$generation $^T-$$-$count";
}
while (my $line = <STDIN>) { print STDERR $line eq "look\n" ? look() . "\n" : $line }
`;

/** One process, which begins with the first look, and anew where it ended: then with other words. */
export function openKernelMarks(start: StartResident): KernelMarks {
  const channel = openChannel({
    ...{ command: 'perl', args: ['-e', PROGRAM], start, timeout: PATIENCE_MS },
    complaintAbout: (word) => new RegExp(`${word}\n`),
  });
  return {
    read: async () => {
      const answer = await channel.send('look').catch(() => undefined);
      return /^\d+ [\d-]+$/.exec(answer?.output ?? '')?.[0];
    },
    stop: () => channel.stop(),
  };
}

/** Whether a change of this setting gives another word; those of `all` and `default` are no link's. */
export const isMarked = (sysctl: string): boolean =>
  /^net\/ipv[46]\/conf\/(?!all\/|default\/)[^/]+\/(forwarding|proxy_arp|accept_ra|proxy_ndp)$/.test(sysctl);
