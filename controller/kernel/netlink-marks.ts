/**
 * For a resident perl: which rules, routes, proxies, links and settings the kernel holds, as a word that is another one
 * whenever they are others. Without `nft` and `ip`, which take 20 times as long, and as long again to be read.
 *
 * Of rules, it tells the generation that the kernel counts up with each commit in this network namespace, whoever commits:
 * NFT_MSG_GETGEN, 0xA10. Nothing of ours goes by itself: a set whose elements time out is dynamic, and compared by nobody. Of
 * all else it holds the kernel's answers, and counts how often they differ from those before: RTM_GETLINK 18 without
 * those of IPv6 (IFLA_EXT_MASK 29, RTEXT_FILTER_SKIP_STATS 8), RTM_GETADDR 22, RTM_GETROUTE 26 of protocol 119, which
 * NETLINK_GET_STRICT_CHK 12 makes the kernel choose, and RTM_GETNEIGH 30 of proxies. Only what somebody reads of these counts:
 * counters, lifetimes and the timers of bridges go on all the time. Of a link that is IFLA_ADDRESS 1, IFNAME 3, LINK 5, MASTER 10,
 * LINK_NETNSID 37, and in AF_SPEC 26 the settings below net/ipv4/conf and net/ipv6/conf (CONF 1 and 2).
 */
export const NETLINK_MARKS = String.raw`
my ($rules, $route) = map { socket(my $s, 16, 3, $_) or die "netlink: $!\n"; $s } 12, 0;
setsockopt($route, 270, 12, pack('i', 1)) or die "netlink: $!\n";
my @asked = ([18, pack('x16SSL', 8, 29, 8)], [22, pack('x8')], map([26, pack('Cx4Cx6', $_, 119)], 2, 10), [30, pack('x10Cx', 8)]);
my %read = (
  16 => [16, {1 => 1, 3 => 1, 5 => 1, 10 => 1, 37 => 1, 26 => {2 => {1 => 1}, 10 => {2 => 1}}}],
  20 => [8, {map { $_ => 1 } 1 .. 5, 7 .. 11}],
);
my (@masks, @known);
my $differences = 0;

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
# As long as the list, with zeros in place of what nobody reads. Sizes and types stay: while they are the same, so is the mask.
sub attribute_mask {
  my ($data, $wanted) = @_;
  my $mask = '';
  for (my $at = 0; $at + 4 <= length $data; $at = length $mask) {
    my ($size, $type) = unpack('SS', substr($data, $at, 4));
    last if $size < 4 or $at + $size > length $data;
    my $part = $wanted->{$type & 0x3fff};
    my $rest = $size - 4;
    $mask .= "\xff" x 4 . (ref $part ? attribute_mask(substr($data, $at + 4, $rest), $part) : ($part ? "\xff" : "\0") x $rest);
    $mask .= "\0" x (-$size & 3);
  }
  return substr($mask . "\xff" x (length($data) - length $mask), 0, length $data);
}
sub mask {
  my ($list) = @_;
  my $mask = '';
  for (my $at = 0; $at < length $list; $at = length $mask) {
    my ($size, $type) = unpack('LS', substr($list, $at, 6));
    my ($head, $wanted) = @{$read{$type} || []};
    $mask .= $wanted
      ? "\xff" x (16 + $head) . attribute_mask(substr($list, $at + 16 + $head, $size - 16 - $head), $wanted)
      : "\xff" x $size;
    $mask .= "\0" x (-$size & 3);
  }
  return $mask;
}
sub kernel_mark {
  my $generation = generation();
  my @lists = map { dump_all(@$_) // return undef } @asked;
  for (0 .. $#lists) {
    next if defined $known[$_] and length $lists[$_] == length $known[$_] and ($lists[$_] & $masks[$_]) eq $known[$_];
    $differences++;
    $masks[$_] = mask($lists[$_]);
    $known[$_] = $lists[$_] & $masks[$_];
  }
  return "$generation $^T-$$-$differences";
}
`;

/** Whether a change of this setting gives another word; those of `all` and `default` are no link's. */
export const isMarked = (sysctl: string): boolean =>
  /^net\/ipv[46]\/conf\/(?!all\/|default\/)[^/]+\/(forwarding|proxy_arp|accept_ra|proxy_ndp)$/.test(sysctl);
