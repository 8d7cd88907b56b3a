/** A process that listens where a container's monitor would, and answers as it is told. */

/** Its arguments: the socket's name, and answers by command, `COMMAND[ITEM]=ERROR:NUMBER:TEXT`; without one it closes the connection. */
export const FAKE_MONITOR = String.raw`
my ($name, @answers) = @ARGV;
my %said = map { /^(.*?)=(.*)/s ? ($1 => $2) : () } @answers;
$| = 1;
$SIG{PIPE} = 'IGNORE';
socket(my $listener, 1, 1, 0) or die "$!\n";
bind($listener, pack 'S a*', 1, "\0$name") or die "$!\n";
listen($listener, 20) or die "$!\n";
print "listens\n";
while (accept my $s, $listener) {
  sysread $s, my $request, 16;
  my ($command, $length) = unpack 'ii', $request;
  sysread $s, my $item, $length if $length;
  my $said = $said{$command . unpack 'Z*', $item // ''};
  if (defined $said) {
    my ($error, $number, $text) = split /:/, $said, 3;
    $text .= "\0" if length $text;
    syswrite $s, pack('iiq', $error, length $text, $number) . $text;
  }
  close $s;
}
`;

/** LXC's answers to get_state (3), get_init_pid (4) and get_config_item (7): it runs, as that process, with those veths. */
export const runsAs = (pid: number, ...veths: readonly string[]): string[] => [
  '3=0:2:',
  `4=0:${pid}:`,
  ...veths.flatMap((veth, index) => [`7lxc.net.${index}.type=0:0:veth`, `7lxc.net.${index}.veth.pair=0:0:${veth}`]),
  `7lxc.net.${veths.length}.type=-1:0:`,
];
