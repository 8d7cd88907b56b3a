/**
 * Whose process answers for a container. LXC's command socket has an abstract name, on which any user of the host can listen
 * while the container is stopped: only root's word counts, our own, and that of the LXC path's owner, whose containers they are.
 */
import { commandSocketNames, plainLxcPath } from '../../watchers/lxc-socket-names.ts';
import type { ContainerId } from '../../watchers/running-containers.ts';
import { abortable } from '../commands/reading.ts';
import { CommandError, type Run } from '../commands/run.ts';

/**
 * Says `yes` where one of them listens. AF_UNIX 1, SOCK_STREAM 1, SOCK_NONBLOCK 2048; SOL_SOCKET 1 with SO_PEERCRED 17, which is
 * who began to listen; ECONNREFUSED 111.
 */
const PROGRAM = String.raw`
my ($path, @sockets) = @ARGV;
my %trusted = map { ($_ => 1) } 0, $>, (stat $path)[4] // 0;
for (@sockets) {
  socket(my $s, 1, 1 | 2048, 0) or die "socket: $!\n";
  unless (connect $s, pack('S a*', 1, "\0$_")) { next if $! == 111; die "connect: $!\n" }
  my ($pid, $uid) = unpack 'iI', getsockopt($s, 1, 17) // die "getsockopt: $!\n";
  next unless $trusted{$uid};
  print "yes\n";
  last;
}
`;

/**
 * `undefined` where nobody answers who is believed. Who answers is asked before and after: a user of the host who waits for the
 * name to become free can't be the one in between. The first time beside the question, since a start waits for both; for who
 * isn't trusted nobody waits. @throws CommandError where it can't be told
 */
export async function askTrusted<T>(
  run: Run,
  container: ContainerId,
  ask: (run: Run) => Promise<T>,
): Promise<T | undefined> {
  const unneeded = new AbortController();
  const answer = ask(abortable(run, unneeded.signal));
  answer.catch(() => undefined);
  try {
    if (!(await isMonitorTrusted(run, container))) return undefined;
    const said = await answer;
    return (await isMonitorTrusted(run, container)) ? said : undefined;
  } finally {
    unneeded.abort();
  }
}

/** `false` as well where nobody listens. */
async function isMonitorTrusted(run: Run, { lxcPath, name }: ContainerId): Promise<boolean> {
  const path = plainLxcPath(lxcPath);
  const { stdout, stderr, exitCode } = await run('perl', ['-e', PROGRAM, path, ...commandSocketNames(path, name)]);
  if (exitCode !== 0) throw new CommandError(`who answers for ${name}: ${stderr.trim() || `exit status ${exitCode}`}`);
  return stdout === 'yes\n';
}
