/** What the small process runs that starts commands (fork-server.ts). */

/**
 * Reads frames: two lengths, an id and the command's words with zeros between, and the command's input. Answers in frames too:
 * the id, a kind, a length and so many bytes. `p`: the process began; `o` and `e`: what it wrote; `x`: it ended, with the status
 * as wait(2) has it. A child whose command can't be executed kills itself. Ends with its input, and its children with it.
 *
 * A perl program is run by the child itself, which is a perl already. What it has to compile (our own programs, a handful) stays
 * compiled: each is the sub `main` of a package, since named subs would lose sight of the variables of one without a name.
 */
export const PROGRAM = String.raw`
require strict; require Socket; require POSIX;
$0 = 'routewall: starts commands';
my $server = $$;
# To clear away each object at its end, as perl does, a child would copy most of our memory first.
END { if ($$ != $server) { close STDOUT; close STDERR; POSIX::_exit($?) } }
my %programs;
sub compiled {
  my ($text) = @_;
  my $package = 'Program' . keys %programs;
  my $main = $programs{$text} // eval "package $package; sub main { $text\n} \\&main";
  my $why = $@;
  return $programs{$text} = $main // sub { die $why };
}
my ($input, @answers, %jobs) = ('');
sub run { my ($program) = @_; eval { $program->() }; print STDERR $@; exit($@ eq '' ? 0 : 255) }
# In pieces: of one long text, all would be moved for each part of it that is taken.
sub answer {
  push @answers, '' unless @answers and length $answers[-1] < 65536;
  $answers[-1] .= pack('N a N/a*', @_);
}
# Who is slow to take them keeps no command waiting: F_GETFL 3, F_SETFL 4, O_NONBLOCK 2048; EINTR 4, EAGAIN 11.
fcntl(STDOUT, 4, fcntl(STDOUT, 3, 0) | 2048) or die "$!\n";
sub hand_over {
  while (@answers) {
    my $taken = syswrite(STDOUT, $answers[0]) // ($! == 4 || $! == 11 ? return : exit);
    $taken == length $answers[0] ? shift @answers : substr($answers[0], 0, $taken, '');
  }
}
sub feed {
  my ($input) = @_;
  pipe(my $from, my $to) or kill KILL => $$;
  # Every pipe holds a page that nobody has read yet.
  if (length $input <= 4096) { (syswrite($to, $input) // 0) == length $input or kill KILL => $$ }
  elsif (!(fork // kill KILL => $$)) {
    close $_ for $from, STDOUT, STDERR;
    while (length $input) { substr($input, 0, syswrite($to, $input) // last, '') }
    kill KILL => $$;
  }
  close $to;
  open STDIN, '<&', $from;
}
sub begin {
  my ($input, $id, @words) = @_;
  my $program = "@words[0, 1]" eq 'perl -e' ? compiled($words[2]) : undef;
  my $began = pipe(my $out, my $out_end) && pipe(my $err, my $err_end);
  my $pid = $began ? fork : undef;
  return answer($id, 'x', -1) unless defined $pid;
  unless ($pid) {
    $SIG{CHLD} = 'DEFAULT';
    open STDIN, '<', '/dev/null';
    feed($input) if length $input;
    open STDOUT, '>&', $out_end; open STDERR, '>&', $err_end;
    if ($program) { @ARGV = @words[3 .. $#words]; run($program) }
    exec { $words[0] } @words;
    kill KILL => $$;
  }
  $jobs{$id} = { pid => $pid, pieces => 0, open => { o => $out, e => $err } };
  answer($id, 'p', $pid);
}
# nft writes a word at a time, and each would wake us: who has said much is listened to now and then.
sub is_long { return $_[0]{pieces} > 16 }
# F_SETPIPE_SZ 1031, for what is said meanwhile.
sub take {
  my ($id, $kind) = @_;
  my $job = $jobs{$id};
  fcntl($job->{open}{$kind}, 1031, 1 << 20) if ++$job->{pieces} == 17;
  my $size = sysread($job->{open}{$kind}, my $data, 1 << 18);
  # What is left out must not be taken for nothing.
  $job->{lost} = 1 if !defined $size;
  return delete $job->{open}{$kind} if !$size;
  for (my $at = 0; $at < $size; $at += 65536) { answer($id, $kind, substr($data, $at, 65536)) }
}
# Ends the wait below. One that ends right before it is looked for a millisecond later.
$SIG{CHLD} = sub {};
while (1) {
  hand_over();
  my ($bits, $long, $out, $soon) = ('', '', '');
  vec($bits, fileno STDIN, 1) = 1;
  vec($out, fileno STDOUT, 1) = 1 if @answers;
  for my $job (values %jobs) {
    $soon = is_long($job) ? 0.002 : 0.001 if is_long($job) or !%{ $job->{open} };
    vec(is_long($job) ? $long : $bits, fileno $_, 1) = 1 for values %{ $job->{open} };
  }
  $bits = '' if select($bits, $out, undef, $soon) < 0;
  $bits |= $long if $long ne '' and select($long, undef, undef, 0) > 0;
  for my $id (keys %jobs) {
    my ($pid, $open) = @{ $jobs{$id} }{qw(pid open)};
    my @ready = grep { vec($bits, fileno $open->{$_}, 1) } keys %$open;
    # Who went quiet is waited for again, not looked at for ever.
    $jobs{$id}{pieces} = 0 unless @ready;
    take($id, $_) for @ready;
    next if %$open || waitpid($pid, 1) != $pid;
    my $status = $jobs{$id}{lost} ? -1 : $?;
    delete $jobs{$id};
    answer($id, 'x', $status);
  }
  next unless vec($bits, fileno STDIN, 1);
  sysread(STDIN, $input, 65536, length $input) or last;
  # Of many that come at once, the first are told of before the last begin.
  while (length $input >= 8) {
    my ($words, $size) = unpack('NN', $input);
    last if length $input < 8 + $words + $size;
    my ($command, $fed) = unpack("x8 a$words a$size", $input);
    substr($input, 0, 8 + $words + $size, '');
    begin($fed, split /\0/, $command, -1);
    hand_over();
  }
  # Otherwise each child had the memory of the longest that ever came.
  undef $input, $input = '' unless length $input;
}
kill KILL => map { $_->{pid} } values %jobs;
`;
