/** Our routes in all tables, without `ip route`, which asks the kernel once for each what its link is called. */
import type { Family } from '../../render/address.ts';
import { PROTOCOL } from '../../render/protocol.ts';
import { CommandError, type Run } from '../commands/run.ts';
import type { Turn } from '../in-turns.ts';
import { type Fields, jsonOf, records } from './ip-json.ts';

/**
 * Prints what somebody reads of `ip -j -N -4 route show table all proto 119`, in its words and order. A list that changed while
 * it was told is told all the same, here after two more attempts. A link that went meanwhile is called `if` and its number.
 *
 * AF_NETLINK 16, SOCK_RAW 3; NETLINK_GET_STRICT_CHK 12 of SOL_NETLINK 270 makes the kernel leave out others' routes, where it
 * knows that. RTM_GETROUTE 26, answered by RTM_NEWROUTE 24; NLM_F_REQUEST and NLM_F_DUMP 0x301, NLM_F_DUMP_INTR 0x10; NLMSG_ERROR
 * 2, NLMSG_DONE 3; RTM_F_CLONED 0x200, RTN_UNICAST 1, RT_TABLE_MAIN 254; RTA_DST 1, OIF 4, GATEWAY 5, PRIORITY 6, TABLE 15.
 * SIOCGIFNAME 0x8910.
 */
const PROGRAM = String.raw`
use strict;
use Socket qw(inet_ntop);
my ($family, $protocol) = ($ARGV[2] == 4 ? 2 : 10, $ARGV[3]);
my $bits = $family == 2 ? 32 : 128;
my (%names, $list, $changed);
socket(my $s, 16, 3, 0) or die "netlink socket: $!\n";
setsockopt($s, 270, 12, pack('i', 1));
sub name_of {
  my ($index) = @_;
  my $asked = pack('x16lx20', $index);
  my $name = ioctl($s, 0x8910, $asked) ? unpack('Z*', $asked) : "if$index";
  $name =~ s/(["\\])/\\$1/g;
  $name =~ s/([\0-\x1f])/sprintf '\\u%04x', ord $1/ge;
  return $name;
}
sub told {
  my ($data) = @_;
  my ($of, $length, $table, $by, $type, $flags) = unpack('CCx2CCxCL', $data);
  return () if $of != $family or $by != $protocol or $flags & 0x200;
  my %found;
  for (my $at = 12; $at + 4 <= length $data; ) {
    my ($size, $kind) = unpack("\@$at SS", $data);
    die "netlink: error\n" if $size < 4;
    $found{$kind & 0x3fff} = substr($data, $at + 4, $size - 4);
    $at += ($size + 3) & ~3;
  }
  my $to = defined $found{1} ? inet_ntop($family, $found{1}) : $length ? 0 : 'default';
  $to .= "/$length" if $length && ($length < $bits || !defined $found{1});
  my $text = qq({"dst":"$to");
  $text .= qq(,"type":"$type") if $type != 1;
  $text .= ',"gateway":"' . inet_ntop($family, $found{5}) . '"' if defined $found{5};
  $text .= ',"dev":"' . ($names{$found{4}} //= name_of(unpack 'L', $found{4})) . '"' if defined $found{4};
  $table = unpack 'L', $found{15} if defined $found{15};
  $text .= qq(,"table":"$table") if $table != 254;
  $text .= ',"metric":' . unpack('L', $found{6}) if defined $found{6};
  return "$text}";
}
sub list {
  send($s, pack('LSSLL Cx4Cx6', 28, 26, 0x301, 1, 0, $family, $protocol), 0) or die "netlink: $!\n";
  my ($intr, @list) = (0);
  while (1) {
    defined recv($s, my $part, 1 << 18, 0) or die "netlink: $!\n";
    for (my $at = 0; $at < length $part; ) {
      my ($size, $type, $flags) = unpack("\@$at LSS", $part);
      die "netlink: error\n" if $size < 16;
      my $data = substr($part, $at + 16, $size - 16);
      $intr ||= $flags & 0x10;
      if ($type == 2 or $type == 3) {
        my $code = unpack('l', $data);
        if ($code < 0) { $! = -$code; die "netlink: $!\n" }
        return (join(',', @list), $intr);
      }
      push @list, told($data) if $type == 24;
      $at += ($size + 3) & ~3;
    }
  }
}
for (1 .. 3) { ($list, $changed) = list(); last if !$changed }
print "[$list]";
`;

/** @throws CommandError */
export async function readOwnRouteFields(run: Run, family: Family, turn: Turn): Promise<Fields[]> {
  const words = ['route', 'show', String(family), String(PROTOCOL)];
  const { stdout, stderr, exitCode } = await run('perl', ['-e', PROGRAM, ...words]);
  if (exitCode !== 0) throw new CommandError(`IPv${family} routes: ${stderr.trim() || `exit status ${exitCode}`}`);
  return records(await jsonOf(stdout, `IPv${family} routes`, turn));
}
