/** Which veths of the host lead into another network namespace, at a cost that the host's other links have no part in. */
import { type Mac, parseMac } from '../../render/mac.ts';
import { CommandError, type Run } from '../commands/run.ts';

/**
 * RTM_GETNSID tells how the kernel numbers a process's namespace in ours; unlike opening /proc/PID/ns it needs no right over the
 * process. RTM_GETLINK with that number as IFLA_TARGET_NETNSID lists the veths inside, each with the index of its other end.
 *
 * Root in the container can make thousands of veths there, whose other ends have the same indexes as links of the host. So
 * what is inside only says where to look: the host's own link has to be a veth that leads into that namespace. Where there are
 * too many, or they change meanwhile, all of the host's links are listed instead.
 *
 * Where it isn't known that the container runs, the program first connects to its command sockets, since reading the list of all
 * sockets takes the longer the more containers run: AF_UNIX 1, SOCK_STREAM 1, SOCK_NONBLOCK 2048; EAGAIN 11 where many wait there.
 *
 * AF_NETLINK 16, SOCK_RAW 3; RTM_GETNSID 90 with NETNSA_PID 2, answered by RTM_NEWNSID 88; RTM_GETLINK 18. NLM_F_REQUEST 1,
 * NLM_F_DUMP 0x300, NLM_F_DUMP_INTR 0x10; NLMSG_ERROR 2, NLMSG_DONE 3. IFLA_IFNAME 3, LINK 5, LINKINFO 18 (IFLA_INFO_KIND 1),
 * ADDRESS 1, EXT_MASK 29 (RTEXT_FILTER_SKIP_STATS 8), LINK_NETNSID 37, TARGET_NETNSID 46.
 */
const PROGRAM = String.raw`
use strict;
my ($by, $what, @sockets) = @ARGV;
sub listens { socket(my $s, 1, 1 | 2048, 0) or die "socket: $!\n"; return connect($s, pack('S a*', 1, "\0$_[0]")) || $! == 11 }
exit 3 if @sockets and !grep { listens($_) } @sockets;
my $veth = pack('SSSSa4', 16, 18, 9, 1, 'veth') . pack('x4SSL', 8, 29, 8);
sub begin {
  my ($type, $flags, $body) = @_;
  socket(my $s, 16, 3, 0) or die "netlink socket: $!\n";
  send($s, pack('LSSLL', 16 + length $body, $type, 1 | $flags, 1, 0) . $body, 0) or die "netlink: $!\n";
  return $s;
}
sub take { defined recv($_[0], my $part, 1 << 18, 0) or die "netlink: $!\n"; return $part }
sub attributes {
  my ($data, %found) = @_;
  while (length $data >= 4) {
    my ($size, $type) = unpack('SS', $data);
    die "netlink: error\n" if $size < 4;
    $found{$type & 0x3fff} = substr($data, 4, $size - 4);
    $data = substr($data, (($size + 3) & ~3) < length $data ? ($size + 3) & ~3 : length $data);
  }
  return \%found;
}
sub link_of {
  my ($index, $of) = (unpack('x4l', $_[0]), attributes(substr($_[0], 16)));
  my $kind = unpack('Z*', attributes($of->{18} // '')->{1} // '');
  my ($peer, $leads, $listed) = map { defined $of->{$_} ? unpack('l', $of->{$_}) : -1 } 5, 37, 46;
  my $mac = join ':', unpack '(H2)*', $of->{1} // '';
  return { index => $index, name => unpack('Z*', $of->{3}), kind => $kind, peer => $peer, leads => $leads, listed => $listed, mac => $mac };
}
sub links {
  my ($flags, $body, $enough) = @_;
  my ($s, @links) = begin(18, $flags, $body);
  while (1) {
    my $part = take($s);
    for (my $at = 0; $at < length $part; ) {
      my ($size, $type, $seen) = unpack('LSS', substr($part, $at, 8));
      my $data = substr($part, $at + 16, $size - 16);
      return if $seen & 0x10 or $type == 2;
      return unpack('l', $data) < 0 ? undef : \@links if $type == 3;
      push @links, link_of($data);
      $at += ($size + 3) & ~3;
    }
    return \@links unless $flags;
    return if $enough and @links > $enough;
  }
}
my $to = $by eq 'veth' ? namespace_behind($what) : namespace_of($what);
sub leading {
  my $inside = links(0x300, pack('x16SSl', 8, 46, $to) . $veth, 64);
  if ($inside and !grep { $_->{listed} != $to } @$inside) {
    my %ends = map { ($_->{peer} => 1) } grep { $_->{peer} > 0 } @$inside;
    return map { @{ links(0, pack('x4lx8SSL', $_, 8, 29, 8)) || [] } } keys %ends;
  }
  for (1 .. 3) { my $all = links(0x300, pack('x16') . $veth); return @$all if $all }
  exit 3;
}
sub namespace_of {
  my $answer = take(begin(90, 0, pack('x4SSL', 8, 2, $_[0])));
  return unpack('x4S', $answer) == 88 ? unpack('x24l', $answer) : -1;
}
sub namespace_behind {
  my ($name) = @_;
  my $links = links(0, pack('x16SSa*', 5 + length $name, 3, "$name\0" . "\0" x (3 - length($name) % 4)));
  return $links ? $links->[0]{leads} : -1;
}
sub mac_inside {
  my ($link) = @_;
  my $links = links(0, pack('x4lx8SSlSSL', $link->{peer}, 8, 46, $to, 8, 29, 8));
  return $links && $links->[0]{listed} == $to ? $links->[0]{mac} : '';
}
exit 3 if $to < 0 or $to == namespace_of($$);
my $asks_macs = $by eq 'macs';
print map { $_->{name} . ($asks_macs ? ' ' . mac_inside($_) : '') . "\n" } sort { $a->{index} <=> $b->{index} } grep { $_->{kind} eq 'veth' and $_->{leads} == $to } leading();
`;

/**
 * Names, in the order in which they were made. `by`: a process in that namespace, or a veth that leads there. `sockets`: on one of
 * these abstract names somebody has to listen.
 * @returns undefined where nobody does, none of our links leads there, the process or the veth is gone, or all changes all the time.
 * @throws CommandError
 */
export async function readVethsInto(
  run: Run,
  by: { readonly process: number } | { readonly veth: string },
  sockets: readonly string[] = [],
): Promise<string[] | undefined> {
  const words = 'process' in by ? ['process', String(by.process)] : ['veth', by.veth];
  return await linesOf(run, [...words, ...sockets]);
}

/**
 * The hardware address of each one's other end, by the host's name for it, whatever that is called inside. A root inside may have
 * set another one by the time that it is read, so it needs a second look before it is believed.
 *
 * @param pid of a process in that namespace @throws CommandError
 */
export async function readMacsInside(run: Run, pid: number): Promise<ReadonlyMap<string, Mac>> {
  const lines = (await linesOf(run, ['macs', String(pid)])) ?? [];
  return new Map(
    lines.flatMap((line): [string, Mac][] => {
      const [veth = '', text = ''] = line.split(' ');
      const mac = parseMac(text);
      return mac === undefined ? [] : [[veth, mac]];
    }),
  );
}

async function linesOf(run: Run, words: readonly string[]): Promise<string[] | undefined> {
  const { stdout, stderr, exitCode } = await run('perl', ['-e', PROGRAM, ...words]);
  if (exitCode === 3) return undefined;
  if (exitCode !== 0) throw new CommandError(`veths by their namespace: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout.split('\n').filter(Boolean);
}
