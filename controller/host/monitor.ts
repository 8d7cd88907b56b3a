/**
 * What the process that watches over a container says of it. It listens on LXC's command socket, whose abstract name any user of the
 * host can take while the container is stopped: only root's word counts, our own, and that of the LXC path's owner, whose containers
 * they are. The questions are lxc-info's, in its words, which LXC never changes, since its tools meet monitors that are older than they
 * (src/lxc/commands.c). lxc-info itself takes several times as long, and can't be asked whose answer it has.
 */
import { commandSocketNames, plainLxcPath } from '../../watchers/lxc-socket-names.ts';
import type { ContainerId } from '../../watchers/running-containers.ts';
import { CommandError, type Run, type RunOptions } from '../commands/run.ts';

export interface MonitorAnswer {
  /** STOPPED, STARTING, RUNNING, STOPPING, …; RUNNING for a frozen one, which has its network as before. */
  readonly state: string;
  /** Of init. */
  readonly pid: number | undefined;
  /** Of the NICs from index 0 up to the first gap: the host-side veth, and what one of another type is linked to. */
  readonly links: readonly string[];
}

/**
 * AF_UNIX 1, SOCK_STREAM 1, SOCK_NONBLOCK 2048, since the queue of who doesn't accept can be full; ECONNREFUSED 111, and EINVAL 22 for
 * a name that is longer than any socket's.
 */
const CONNECT = String.raw`
my $to = sub {
  socket(my $s, 1, 1 | 2048, 0) or die "socket: $!\n";
  return $s if connect $s, pack('S a*', 1, "\0$_[0]");
  return if $! == 111 or $! == 22;
  die "connect: $!\n";
};
`;

/**
 * Its arguments: the LXC path, and the names that the socket may have. Prints the state's number, init's, and a link a line; nothing
 * where nobody who is trusted listens. SOL_SOCKET 1 with SO_PEERCRED 17 is who began to listen; F_SETFL 4 makes it wait again.
 * With SO_PASSCRED 16 the kernel says who asks; without it, LXC may see nobody there for a moment, and refuses him.
 *
 * A request is a command, a length and a pointer, which nobody looks at, and so many bytes; an answer is an error, a length and a
 * number of a pointer's size, and so many bytes. GET_STATE 3, GET_INIT_PID 4, GET_CONFIG_ITEM 7. Who ends meanwhile answers nothing.
 */
const ASK = String.raw`
my ($path, @names) = @ARGV;
my %trusted = map { ($_ => 1) } 0, $>, (stat $path)[4] // 0;
${CONNECT}
my $trusted = sub {
  for (@names) {
    my $s = $to->($_) // next;
    my ($pid, $uid) = unpack 'iI', getsockopt($s, 1, 17) // die "getsockopt: $!\n";
    next unless $trusted{$uid};
    setsockopt($s, 1, 16, 1) or die "setsockopt: $!\n";
    fcntl($s, 4, 0) or die "fcntl: $!\n";
    return $s;
  }
  exit 0;
};
my $read = sub {
  my ($s, $size) = @_;
  my $got = '';
  while (length $got < $size) { sysread($s, $got, $size - length $got, length $got) or return }
  return $got;
};
local $SIG{PIPE} = 'IGNORE';
my $ask = sub {
  my ($command, $item) = @_;
  for my $try (1 .. 3) {
    select undef, undef, undef, 0.01 if $try > 1;
    my $s = $trusted->();
    syswrite $s, pack('iip', $command, length $item, undef) . $item or next;
    my ($error, $length, $number) = unpack 'iil!', $read->($s, length pack 'iip', 0, 0, undef) // next;
    die "an answer of $length bytes\n" if $length < 0 or $length > 8192;
    my $text = $length ? $read->($s, $length) // next : '';
    return ($error, $number, unpack 'Z*', $text);
  }
  die "no answer\n";
};
my $number = sub { my ($error, $number) = $ask->(@_, ''); die "error $error\n" if $error; return $number };
my $item = sub { my ($error, undef, $text) = $ask->(7, "lxc.net.$_[0]\0"); return $error ? undef : $text };
my ($state, $pid, @links) = ($number->(3), $number->(4));
for (my $nic = 0; $pid > 0 and defined(my $type = $item->("$nic.type")); $nic++) {
  push @links, $item->($type eq 'veth' ? "$nic.veth.pair" : "$nic.link") // last;
}
print map { "$_\n" } $state, $pid, @links;
`;

/** @returns `undefined` where nobody listens who is believed. @throws CommandError where it can't be told */
export async function askMonitor(run: Run, container: ContainerId): Promise<MonitorAnswer | undefined> {
  const stdout = await runOn(run, ASK, container.name, socketOf(container), {});
  return stdout === '' ? undefined : parseMonitorAnswer(stdout);
}

const STATES = ['STOPPED', 'STARTING', 'RUNNING', 'STOPPING', 'ABORTING', 'RUNNING', 'RUNNING', 'RUNNING'];

/** A link's name is taken whole, with all that the kernel allows in it. @throws CommandError */
export function parseMonitorAnswer(text: string): MonitorAnswer {
  const [number, init, ...links] = text.split('\n').slice(0, -1);
  const [state, pid] = [STATES[Number(number)], Number(init)];
  if (state === undefined || Number.isNaN(pid)) throw new CommandError(`a container's monitor answers ${text}`);
  if (!(pid > 0)) return { state, pid: undefined, links };
  // It is asked for one after the other: a container that started in between would count as stopped for as long as it runs.
  return { state: state === 'STOPPED' ? 'STARTING' : state, pid, links };
}

/** Its arguments: names, with an empty one behind those of a container. Prints the number of each for which nobody listens. */
const LIST_SILENT = String.raw`
${CONNECT}
my ($number, $heard) = (0, 0);
for (@ARGV) {
  if ($_ eq '') {
    print "$number\n" unless $heard;
    ($number, $heard) = ($number + 1, 0);
  } else {
    $heard ||= eval { $to->($_) } || $@;
  }
}
`;

/** So many fit among a process's arguments, whatever their names' lengths. */
const AT_ONCE = 200;
/** Whoever isn't told of by then is asked about alone. */
const SILENT_MS = 1_000;

/** Those for whom nobody listens, which don't run; a process for many of them. @throws CommandError where it can't be told */
export async function listSilent<T extends ContainerId>(run: Run, containers: readonly T[]): Promise<readonly T[]> {
  const silent: T[] = [];
  for (let from = 0; from < containers.length; from += AT_ONCE) {
    const asked = containers.slice(from, from + AT_ONCE);
    const names = asked.flatMap((container) => [...socketOf(container).slice(1), '']);
    const stdout = await runOn(run, LIST_SILENT, `${asked.length}`, names, { timeout: SILENT_MS });
    const numbers = new Set(stdout.split('\n'));
    silent.push(...asked.filter((_, index) => numbers.has(`${index}`)));
  }
  return silent;
}

/** The LXC path, and the names that the socket may have. */
function socketOf({ lxcPath, name }: ContainerId): string[] {
  const path = plainLxcPath(lxcPath);
  return [path, ...commandSocketNames(path, name)];
}

async function runOn(
  run: Run,
  program: string,
  of: string,
  words: readonly string[],
  options: RunOptions,
): Promise<string> {
  const { stdout, stderr, exitCode } = await run('perl', ['-e', program, ...words], options);
  if (exitCode !== 0) throw new CommandError(`the monitor of ${of}: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout;
}
