/** The addresses of all interfaces, at a cost that grows with their number: `ip address` looks through all of them for each link. */
import type { LinkAddress } from '../../policies/host-network.ts';
import { parseAddress } from '../../render/address.ts';
import { CommandError, type Run, runOrThrow } from '../commands/run.ts';
import { mapInTurns, type Turn } from '../in-turns.ts';

/**
 * Prints `INDEX LENGTH SCOPE ADDRESS` for each, in the kernel's order, which is that of `ip address`. As there, the address is the
 * link's own end (IFA_LOCAL 2) where the kernel tells two, and a list that changed while it was told is told all the same, here
 * after two more attempts.
 *
 * AF_NETLINK 16, SOCK_RAW 3; RTM_GETADDR 22, answered by RTM_NEWADDR 20; NLM_F_REQUEST and NLM_F_DUMP 0x301, NLM_F_DUMP_INTR 0x10;
 * NLMSG_ERROR 2, NLMSG_DONE 3; AF_INET 2, AF_INET6 10; IFA_ADDRESS 1.
 */
const PROGRAM = String.raw`
use strict;
use Socket qw(inet_ntop);
socket(my $s, 16, 3, 0) or die "netlink socket: $!\n";
sub told {
  my ($data) = @_;
  my ($family, $bits, undef, $scope, $index) = unpack('C4L', $data);
  return '' if $family != 2 and $family != 10;
  my %found;
  for (my $at = 8; $at + 4 <= length $data and !defined $found{2}; ) {
    my ($size, $type) = unpack("\@$at SS", $data);
    die "netlink: error\n" if $size < 4;
    $found{$type} = substr($data, $at + 4, $size - 4) if $type == 1 or $type == 2;
    $at += ($size + 3) & ~3;
  }
  my $address = $found{2} // $found{1} // return '';
  return "$index $bits $scope " . inet_ntop($family, $address) . "\n";
}
sub list {
  send($s, pack('LSSLLx4', 20, 22, 0x301, 1, 0), 0) or die "netlink: $!\n";
  my ($list, $changed) = ('', 0);
  while (1) {
    defined recv($s, my $part, 1 << 18, 0) or die "netlink: $!\n";
    for (my $at = 0; $at < length $part; ) {
      my ($size, $type, $flags) = unpack("\@$at LSS", $part);
      my $data = substr($part, $at + 16, $size - 16);
      $changed ||= $flags & 0x10;
      if ($type == 2 or $type == 3) {
        my $code = unpack('l', $data);
        if ($code < 0) { $! = -$code; die "netlink: $!\n" }
        return ($list, $changed);
      }
      $list .= told($data) if $type == 20;
      $at += ($size + 3) & ~3;
    }
  }
}
my ($list, $changed);
for (1 .. 3) { ($list, $changed) = list(); last if !$changed }
print $list;
`;

/** As /etc/iproute2/rt_scopes has them where nobody changed it. */
const SCOPES: ReadonlyMap<string, string> = new Map([
  ['0', 'global'],
  ['200', 'site'],
  ['253', 'link'],
  ['254', 'host'],
  ['255', 'nowhere'],
]);

/** By the index of their link. @throws CommandError */
export async function readLinkAddresses(run: Run, turn: Turn): Promise<ReadonlyMap<number, readonly LinkAddress[]>> {
  const output = await runOrThrow(run, 'perl', ['-e', PROGRAM]);
  const byLink = new Map<number, LinkAddress[]>();
  await mapInTurns(
    output.split('\n').slice(0, -1),
    (line) => {
      const [index, length, scope = '', text = ''] = line.split(' ');
      const address = parseAddress(text);
      if (address === undefined) throw new CommandError(`perl: no address: ${line}`);
      const told = { address, prefixLength: Number(length), scope: SCOPES.get(scope) ?? scope };
      const others = byLink.get(Number(index));
      if (others === undefined) byLink.set(Number(index), [told]);
      else others.push(told);
    },
    turn,
  );
  return byLink;
}
