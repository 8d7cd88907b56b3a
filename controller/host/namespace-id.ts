/** How the kernel numbers another network namespace in ours; a veth's `link_netnsid` says it of the veth's peer. */
import { type Run, runOrThrow } from '../commands/run.ts';

/**
 * RTM_GETNSID by process: unlike `lsns`, which opens /proc/PID/ns, it needs no right over the process. AF_NETLINK 16,
 * SOCK_RAW 3, NETLINK_ROUTE 0; RTM_GETNSID 90, NLM_F_REQUEST 1, NETNSA_PID 2; the answer RTM_NEWNSID 88, NETNSA_NSID.
 */
const ASK = `
socket(my $s, 16, 3, 0) or die "netlink socket: $!\\n";
send($s, pack('LSSLLCx3SSL', 28, 90, 1, 1, 0, 0, 8, 2, shift), 0) or die "netlink: $!\\n";
defined recv($s, my $answer, 4096, 0) or die "netlink: $!\\n";
print unpack('x4S', $answer) == 88 ? unpack('x24l', $answer) : -1;
`;

/** `undefined` where none of our links leads there, or the process is gone. @throws CommandError */
export async function readNamespaceId(run: Run, pid: number): Promise<number | undefined> {
  const id = Number(await runOrThrow(run, 'perl', ['-e', ASK, String(pid)]));
  return Number.isInteger(id) && id >= 0 ? id : undefined;
}
