/**
 * The process that holds a name for the daemon. Node 18 can't: in place of any abstract name it takes one of zeros, which each other
 * program of Node's may have. perl-base is part of every Debian system.
 */
import { lineSplitter } from '../watchers/line-splitter.ts';
import { CommandError, type StartTalker, type Talker } from './commands/run.ts';

/**
 * Its arguments: the name, and the process that it is held for, which each is told who connects. Says one line: `held`; `another`
 * and the process that holds it; `silent`, where that is no daemon that answers; `squatted` and a user who isn't trusted. Holds it until its input ends.
 *
 * Whose it is the kernel tells by NETLINK_SOCK_DIAG 4, SOCK_DIAG_BY_FAMILY 20 for AF_UNIX 1: sockets that are bound (TCP_CLOSE 7) or
 * listen (TCP_LISTEN 10), since others have the name of the one that they came by; UDIAG_SHOW_NAME 1, UDIAG_SHOW_UID 0x40, told as
 * attributes 0 and 7. NLM_F_REQUEST and NLM_F_DUMP 0x301; NLMSG_ERROR 2, NLMSG_DONE 3; EADDRINUSE 98; SOCK_STREAM 1, SOCK_NONBLOCK 2048.
 */
const PROGRAM = String.raw`
use strict;
$0 = 'routewall: keeps a second daemon from starting';
$| = 1;
$SIG{PIPE} = 'IGNORE';
my ($name, $daemon) = @ARGV;
my $address = pack('S a*', 1, "\0$name");
sub end { print "@_\n"; exit }
sub user {
  socket(my $s, 16, 3, 4) or die "netlink socket: $!\n";
  send($s, pack('LSSLL CCSLLLLL', 40, 20, 0x301, 1, 0, 1, 0, 0, 1 << 7 | 1 << 10, 0, 0x41, -1, -1), 0) or die "netlink: $!\n";
  my $user;
  while (1) {
    defined recv($s, my $part, 1 << 18, 0) or die "netlink: $!\n";
    for (my $at = 0; $at < length $part; ) {
      my ($size, $type) = unpack("\@$at LS", $part);
      my $data = substr($part, $at + 16, $size - 16);
      if ($type == 2) { $! = -unpack('l', $data); die "netlink: $!\n" }
      return $user if $type == 3;
      my %of;
      for (my $from = 16; $from + 4 <= length $data; ) {
        my ($size, $type) = unpack("\@$from SS", $data);
        die "netlink: error\n" if $size < 4;
        $of{$type} = substr($data, $from + 4, $size - 4);
        $from += ($size + 3) & ~3;
      }
      $user = unpack('L', $of{7}) if ord(substr $data, 1) == 1 and ($of{0} // '') eq "\0$name" and defined $of{7};
      $at += ($size + 3) & ~3;
    }
  }
}
sub answer {
  socket(my $s, 1, 1 | 2048, 0) or die "socket: $!\n";
  connect($s, $address) or return '';
  my ($answer, $until) = ('', time + 2);
  while (length $answer < 64 and time < $until) {
    my $bits = '';
    vec($bits, fileno $s, 1) = 1;
    next unless select($bits, undef, undef, 0.5) > 0;
    sysread($s, $answer, 64, length $answer) or last;
  }
  return $answer;
}
socket(my $held, 1, 1, 0) or die "socket: $!\n";
for (my $try = 1; !bind($held, $address); $try++) {
  $! == 98 or die "bind: $!\n";
  # Where the kernel can't tell, whoever holds it is asked.
  my $user = eval { user() };
  $user = 0 if $@;
  end('squatted', $user) if defined $user and $user != 0 and $user != $>;
  # One that was killed in the middle of a fork is answered for until its child has become another program.
  end('another', $1) if defined $user and answer() =~ /^process (\d{1,10})$/ and (-e "/proc/$1" or $try == 10);
  end('silent') if $try == 10;
  select undef, undef, undef, 0.2;
}
listen($held, 128) or die "listen: $!\n";
print "held\n";
my $client;
while (1) {
  my $bits = '';
  vec($bits, fileno $_, 1) = 1 for *STDIN, $held;
  select($bits, undef, undef, undef) > 0 or next;
  exit if vec($bits, fileno STDIN, 1) and !sysread STDIN, my $nothing, 4096;
  syswrite $client, "process $daemon" if vec($bits, fileno $held, 1) and accept $client, $held;
  close $client if $client;
}
`;

/** Several times what it takes where a name is taken by one that doesn't answer. */
const PATIENCE_MS = 60_000;

export interface Holder {
  /** As above. */
  readonly said: readonly string[];
  /** Stays where it holds the name. */
  readonly child: Talker;
}

/** @param name without the zero that makes it abstract @throws CommandError */
export function startHolder(start: StartTalker, name: string): Promise<Holder> {
  return new Promise((resolve, reject) => {
    const child = start('perl', ['-e', PROGRAM, name, `${process.pid}`]);
    let errors = '';
    const patience = setTimeout(() => child.kill(), PATIENCE_MS);
    const lines = lineSplitter((line) => {
      clearTimeout(patience);
      resolve({ said: line.split(' '), child });
    });
    child.onOutput((data) => lines(data.toString('latin1')));
    child.onErrorOutput((text) => {
      errors += text;
    });
    child.onEnd((cause) => {
      clearTimeout(patience);
      reject(new CommandError(errors.trim() || cause.message));
    });
  });
}
