/**
 * Reads and deletes entries of the kernel's connection tracking by netlink. conntrack(8) deletes by a scan of the whole
 * table for each call: 0.4 s of processor at 200,000 entries, where a message here takes 5 µs. perl-base is part of every
 * Debian system.
 */

/**
 * Entries that are told and looked through as quickly as the kernel compares an address with all of them, for each side of each
 * direction: to look through its table, however empty, takes it 10 ms each time.
 */
const FEW = 20_000;

/** So many addresses are looked for in the table's parts, before any entry of one is looked at. */
const NEEDLES = 16;

/** As long as the kernel itself keeps what was answered by nobody. */
const SHUT_SECONDS = 30;

/**
 * `list` and `forget` read prefixes, `ADDRESS/LENGTH` a line. `list` prints the entries in which one of them occurs, on
 * either side and before or after address translation: `FAMILY PROTOCOL SOURCE DESTINATION PORT TYPE HANDLE`, the
 * destination and its port being those behind the translation, `-` for what the protocol has not. Where the sender wrote
 * another destination, that one and its port follow. `few` is `list` for a table that is soon read whole; of another it prints
 * `many` alone. `forget` deletes them and prints how many. `delete` reads handles.
 *
 * `shut` reads handles too, and deletes what has begun again under them. Where nothing is translated it puts a placeholder
 * there, an entry that begins with the answer and that nobody can answer: what is sent finds that one, and begins none that
 * the other end could go on in. The kernel keeps it while something is sent, and for half a minute more. `list` tells it as
 * the flow that it keeps away, with `shut` behind; its handle removes it alone.
 *
 * `watch` stays, and reads orders. `begin PREFIX…` reads the table and follows what is added to it; `tell PREFIX…`, some of
 * them, prints as `list` what there was and what came until then, and `end`, or `lost` where some of it isn't known. That ends
 * the following, as `drop` does: while somebody follows, each new connection costs the kernel a message.
 *
 * linux/netfilter/nfnetlink_conntrack.h: messages NEW 0, GET 1, DELETE 2 of subsystem 1; group 1 gets the new ones; attributes TUPLE_ORIG 1,
 * TUPLE_REPLY 2, TIMEOUT 7, ZONE 18, FILTER 25; in a tuple IP 1 and PROTO 2; there V4_SRC 1, V6_SRC 3, PROTO_NUM 1, SRC_PORT 2, DST_PORT 3,
 * ICMP_TYPE 5, ICMPV6_TYPE 8. The kernel writes them in ascending order, which is checked where it is made use of: to
 * walk through each entry takes four times as long. It tells the table in parts of some hundred entries.
 */
export const CONNTRACK_PROGRAM = String.raw`
use strict;
use Socket qw(:DEFAULT inet_pton inet_ntop);
my ($mode) = @ARGV;
my %bytes = (2 => 4, 10 => 16);
my ($sequence, %wanted, %masks, %seen, @found, @needles, %refused) = (0);
my $tell = sub { print $_[0] };
socket(my $netlink, 16, 3, 12) or die "netlink: $!\n";

sub attribute {
  my ($type, $data) = @_;
  return pack('SS', 4 + length $data, $type) . $data . "\0" x (-length($data) & 3);
}
sub message {
  my ($type, $flags, $family, $data) = @_;
  return pack('ISSIICxS', 20 + length $data, 256 | $type, $flags, ++$sequence, 0, $family, 0) . $data;
}
# Where addresses that are asked about stand in a part of the table.
sub places {
  my ($data) = @_;
  my @places;
  for my $needle (@needles) { for (my $at = 0; ($at = index($data, $needle, $at)) >= 0; $at++) { push @places, $at } }
  return sort { $a <=> $b } @places;
}
# An end (3) may stand behind entries; an error comes alone.
sub is_last {
  my ($length, $type) = unpack('IS', substr($_[0], -20));
  return length $_[0] < 1024 || ($length == 20 && $type == 3);
}
# Where nothing can be sent to: the kernel takes no packet to 0.0.0.0/8 any further, nor to ff00::/16, whose scope is reserved.
sub nowhere {
  my ($address) = @_;
  return length $address == 4 ? "\0" . substr($address, 1) : "\xff\0" . substr($address, 2);
}
sub address { return inet_ntop(length $_[0] == 4 ? AF_INET : AF_INET6, $_[0]) }
# Until the answer to the last message. ENOENT, 2: an entry that ended by itself.
sub answers {
  my ($each) = @_;
  while (1) {
    defined recv($netlink, my $data, 1 << 18, 0) or die "netlink: $!\n";
    my @places = places($data);
    next if @needles && !@places && !is_last($data);
    my ($at, $all) = (0, length $data);
    while ($at + 16 <= $all) {
      my ($length, $type, undef, $number) = unpack("\@$at ISSI", $data);
      if ($type == 2 || $type == 3) {
        my $code = unpack('@' . ($at + 16) . 'i', $data);
        if ($code < 0 && $mode eq 'shut') { $refused{$number} = -$code }
        elsif ($code < 0 && $code != -2) { $! = -$code; die "netlink: $!\n" }
        return if $number == $sequence;
      } else {
        shift @places while @places && $places[0] < $at;
        $each->($data, $at + 16) if !@needles || (@places && $places[0] < $at + $length);
      }
      $at += ($length + 3) & ~3;
    }
  }
}
sub dump_table {
  my ($family, $filter) = @_;
  send($netlink, message(1, 0x301, $family, $filter), 0) or die "netlink: $!\n";
  answers(\&entry);
}
sub is_wanted {
  my ($family, @addresses) = @_;
  return grep { my ($in, $mask) = ($wanted{$family}, $_); grep { $in->{$_ & $mask} } @addresses } @{$masks{$family}};
}
sub entry {
  my ($data, $at) = @_;
  my $family = unpack("\@$at C", $data);
  my $size = $bytes{$family};
  my $orig = $at + 4;
  my ($length, $kind, $first) = unpack("\@$orig SSx2S", $data);
  my $reply = $orig + (($length + 3) & ~3);
  my $proto = 16 + 2 * $size;
  my ($from, $to) = unpack('@' . ($orig + 12) . "a$size x4 a$size", $data);
  my ($back, $home) = unpack('@' . ($reply + 12) . "a$size x4 a$size", $data);
  my ($second, $number) = unpack('@' . ($orig + $proto) . 'x2Sx4C', $data);
  die "netlink: attributes in an unknown order\n"
    if ($kind & 0x3fff) != 1 || ($first & 0x3fff) != 1 || ($second & 0x3fff) != 2;
  my @ends = ($family, $from, $to, $back, $home);
  return unless is_wanted(@ends);
  my $after = $reply + ((unpack("\@$reply S", $data) + 3) & ~3);
  my ($port, $type, $asked, $source, $target) = ('-') x 5;
  # What stands behind the protocol's number: two ports, or the id and type of ICMP.
  if ($reply - $orig >= $proto + 28) {
    my $what = unpack('@' . ($orig + $proto) . 'x22S', $data);
    ($port, $target) = unpack('@' . ($reply + $proto) . 'x16nx6n', $data) if $what == 3;
    ($source, $asked) = unpack('@' . ($orig + $proto) . 'x16nx6n', $data) if $what == 3;
    $type = unpack('@' . ($orig + $proto) . 'x24C', $data) if $what == 5 || $what == 8;
  }
  my $is_plain = $from eq $home && $to eq $back && $port eq $asked && $source eq $target;
  # The tuple of its answers, which names too what such an answer begins once this one is gone.
  my $handle = pack('CC', $family, $is_plain) . substr($data, $reply, $after - $reply);
  $handle .= substr($data, $after, 8) if $after + 8 <= length $data && unpack("\@$after x2S", $data) == 18;
  return if $seen{$handle}++;
  if ($mode eq 'forget') { push @found, $handle; return }
  my $is_shut = !$is_plain && $home eq nowhere($from);
  my @words = $is_shut ? ($to, $from, $source) : ($from, $back, $port);
  my @more = $is_shut ? 'shut' : $to eq $back && $port eq $asked ? () : (address($to), $asked);
  $tell->(join(' ', $family == 2 ? 4 : 6, $number, address($words[0]), address($words[1]), $words[2], $type,
    unpack('H*', $handle), @more) . "\n", @ends);
}
# 100 messages at a time, of which the last is answered.
sub remove {
  while (my @batch = splice(@_, 0, 100)) {
    my $last = pop @batch;
    my $text = join '', map { message(2, 1, unpack('C', $_), substr($_, 2)) } @batch;
    send($netlink, $text . message(2, 5, unpack('C', $last), substr($last, 2)), 0) or die "netlink: $!\n";
    answers(sub {});
  }
}
# Begins with the answer; what comes back to it would have to be sent to nowhere.
sub placeholder {
  my ($handle) = @_;
  my $size = $bytes{unpack('C', $handle)};
  my $ports = 32 + 2 * $size;
  my $length = (unpack('x2S', $handle) + 3) & ~3;
  my ($orig, $zone) = (substr($handle, 2, $length), substr($handle, 2 + $length));
  my ($from, $to) = unpack("x12 a$size x4 a$size", $orig);
  my $reply = $orig;
  substr($orig, 2, 2) = pack('S', 0x8001);
  substr($reply, 12, $size) = $to;
  substr($reply, 16 + $size, $size) = nowhere($from);
  if ($length >= $ports + 12) {
    substr($reply, $ports, 2) = substr($orig, $ports + 8, 2);
    substr($reply, $ports + 8, 2) = substr($orig, $ports, 2);
  }
  return $orig . $reply . attribute(7, pack('N', ${SHUT_SECONDS})) . $zone;
}
sub is_placeholder {
  my ($data, $at) = @_;
  my ($size, $orig) = ($bytes{unpack("\@$at C", $data)}, $at + 4);
  my $reply = $orig + ((unpack("\@$orig S", $data) + 3) & ~3);
  my ($from, $home) = (substr($data, $orig + 12, $size), substr($data, $reply + 16 + $size, $size));
  # Who asks for an address sends from 0.0.0.0, and is answered there.
  return $home ne $from && $home eq nowhere($from);
}
# A few at a time, since each is answered. Returns those for which something stood in the way.
sub ask_about {
  my ($asking, $each, @handles) = @_;
  my @taken;
  while (my @batch = splice(@handles, 0, 50)) {
    my ($text, %asked) = ('');
    %refused = ();
    for (@batch) { $text .= $asking->($_); $asked{$sequence} = $_ }
    send($netlink, $text, 0) or die "netlink: $!\n";
    answers(sub { my ($data, $at) = @_; $each->($asked{unpack('@' . ($at - 8) . 'I', $data)}, $data, $at) });
    push @taken, map { $asked{$_} } grep { $asked{$_} && $refused{$_} == 17 } keys %refused;
  }
  return @taken;
}
sub replacement {
  my ($handle) = @_;
  my ($family, $is_plain) = unpack('CC', $handle);
  my $gone = message(2, 5, $family, substr($handle, 2));
  return $is_plain ? $gone . message(0, 0x605, $family, placeholder($handle)) : $gone;
}
sub shut {
  my @left;
  my $asking = sub { message(1, 5, unpack('C', $_[0]), substr($_[0], 2)) };
  ask_about($asking, sub { my ($handle, @entry) = @_; push @left, $handle unless is_placeholder(@entry) }, @_);
  # An answer may come between the two. What can't be added is deleted all the same.
  @left = ask_about(\&replacement, sub {}, @left) for 1 .. 5;
}

sub want {
  my @hosts;
  (%wanted, %masks) = ();
  for (@_) {
    my ($text, $length) = m{^([0-9a-f.:]+)/(\d+)$} or die "$_: no prefix\n";
    my $family = $text =~ /:/ ? 10 : 2;
    my $bits = 8 * $bytes{$family};
    my $address = inet_pton($family == 2 ? AF_INET : AF_INET6, $text) or die "$_: no prefix\n";
    my $mask = pack("B$bits", '1' x $length . '0' x ($bits - $length));
    push @{$masks{$family}}, $mask unless grep { $_ eq $mask } @{$masks{$family}};
    $wanted{$family}{$address & $mask} = 1;
    push @hosts, [$family, $address] if $length == $bits;
  }
  return @hosts;
}
sub is_long {
  open my $file, '<', '/proc/sys/net/netfilter/nf_conntrack_count' or return 0;
  return <$file> > ${FEW};
}
sub dump_all {
  my ($hosts, $asked) = @_;
  @needles = map { $_->[1] } @$hosts if @$hosts == $asked && @$hosts <= ${NEEDLES};
  dump_table(keys %wanted == 1 ? keys %wanted : 0, '');
  @needles = ();
}
# SOL_SOCKET 1 with SO_RCVBUFFORCE 33; the kernel chooses the number, and the groups are bits.
sub follow {
  open my $file, '<', '/proc/sys/net/netfilter/nf_conntrack_events' or return;
  return if <$file> == 0 || is_long();
  socket(my $events, 16, 3, 12) or return;
  setsockopt($events, 1, 33, pack('i', 1 << 22)) && bind($events, pack('Sx2II', 16, 0, 1)) or return;
  # Who was on his way through the host by then is in the table before it is read; of him nobody is told.
  select undef, undef, undef, 0.001;
  return $events;
}
# What has come; MSG_DONTWAIT 64, EAGAIN 11. False where the kernel had to leave something out.
sub drain {
  my ($events) = @_;
  while (defined recv($events, my $data, 1 << 16, 64)) {
    my ($length, $type) = unpack('IS', $data);
    entry($data, 16) if $type == 256;
  }
  return $! == 11;
}
sub watch {
  my ($events, @entries);
  $0 = 'routewall: watches connections';
  $| = 1;
  $tell = sub { push @entries, [@_] };
  while (my $line = <STDIN>) {
    my ($order, @prefixes) = split ' ', $line;
    my @hosts = want(@prefixes);
    if ($order eq 'begin') {
      (%seen, @entries) = ();
      $events = follow();
      dump_all(\@hosts, scalar @prefixes) if $events;
      next;
    }
    my $is_whole = $events && drain($events);
    if ($order eq 'tell') {
      print map { my ($text, @ends) = @$_; is_wanted(@ends) ? $text : () } @entries if $is_whole;
      print $is_whole ? "end\n" : "lost\n";
    }
    undef $events;
  }
}

if ($mode eq 'watch') { watch(); exit }
my @lines = <STDIN>;
chomp @lines;
if ($mode eq 'delete') { remove(map { pack('H*', $_) } @lines); exit }
if ($mode eq 'shut') { shut(map { pack('H*', $_) } @lines); exit }
my @hosts = want(@lines);
my $long = is_long();
if ($mode eq 'few' && $long) { print "many\n"; exit }
if ($long && @hosts == @lines && @hosts <= 2) {
  # The kernel compares one address of one direction: a scan of 200,000 entries takes it 40 ms.
  for (@hosts) {
    my ($family, $address) = @$_;
    for my $tuple (1, 2) {
      for my $side (1, 2) {
        my $ip = attribute(0x8001, attribute($family == 2 ? $side : $side + 2, $address));
        dump_table($family, attribute(0x8000 | $tuple, $ip) . attribute(0x8019, attribute($tuple, pack('I', $side))));
      }
    }
  }
} else {
  # Many are as quickly looked for in each entry.
  dump_all(\@hosts, scalar @lines);
}
if ($mode eq 'forget') { my $removed = @found; remove(@found); print "$removed\n" }
`;
