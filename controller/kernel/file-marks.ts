/** For a resident perl: which files there are and what runs, as a word that is another one whenever they are others. */

/** Where something stands that is read. */
export interface WatchedFiles {
  /** Whose files count. */
  readonly folders: readonly string[];
  /** Whose folders count by the `config` in them, as LXC's do. */
  readonly trees: readonly string[];
  readonly paths: Iterable<string>;
}

/** As the program takes them: any byte may stand in a name. */
export const renderWatched = ({ folders, trees, paths }: WatchedFiles): string =>
  [
    ...folders.map((path) => `F${hex(path)}`),
    ...trees.map((path) => `T${hex(path)}`),
    ...[...paths].map((path) => `P${hex(path)}`),
  ].join(' ');

const hex = (path: string): string => Buffer.from(path).toString('hex');

/**
 * A file is told by what a write can't leave as it was: device, inode, time of change and size. Nothing is certain of one that
 * changed less than three seconds ago (perl tells whole ones, and some file systems know two at a time), of what can't be
 * looked at, and of links among policies, which are believed by the folder that they lead to. Of what runs it tells, behind a
 * dot, who listens where, as LXC's monitors do for each container.
 */
export const FILE_MARKS = String.raw`
my ($seen, $others, $heard, $starts) = ('', 0, '', 0);

sub told {
  my ($path, $follow) = @_;
  my @stat = lstat $path or return $! == 2 || $! == 20 ? '-' : undef;
  # Of a folder among policies nothing is read but what is looked at by itself.
  return '/' if !$follow and -d _;
  return undef if $stat[10] > time - 3 or !$follow and -l _;
  my $told = pack 'Q4', @stat[0, 1, 10, 7];
  return $told if !-l _;
  @stat = stat $path or return $! == 2 ? $told : undef;
  return $stat[10] > time - 3 ? undef : $told . pack 'Q4', @stat[0, 1, 10, 7];
}
sub names {
  my ($folder) = @_;
  opendir my $handle, $folder or return $! == 2 ? [] : undef;
  return [grep { !/^\./ } readdir $handle];
}
sub folder {
  my ($path) = @_;
  my $names = names($path) or return undef;
  my @stat = stat $path or return '-';
  return join '/', "@stat[0, 1, 2, 4, 5]", map { $_, told("$path/$_") // return undef } @$names;
}
sub tree {
  my ($path) = @_;
  my $names = names($path) or return undef;
  return join '/', map { $_, told("$path/$_/config", 1) // return undef } @$names;
}
sub listeners {
  open my $table, '<', '/proc/self/net/unix' or return undef;
  local $/;
  my ($found, $is_told) = ('', 0);
  # A line that is no row belongs to the name in the row before.
  for (split /\n/, <$table>) {
    if (/^[0-9a-f]+: \S+ \S+ (\S+) \S+ \S+ +(\d+)(.*)/) {
      $is_told = hex($1) & 0x10000;
      $found .= "$2$3\n" if $is_told;
    } elsif ($is_told) { $found .= "$_\n" }
  }
  return $found;
}
sub file_mark {
  my %tell = (F => \&folder, T => \&tree, P => sub { told($_[0], 1) });
  my $running = listeners() // return undef;
  my $now = join "\0", map { $tell{substr $_, 0, 1}->(pack 'H*', substr $_, 1) // return undef } @_;
  $others++ if $now ne $seen;
  $starts++ if $running ne $heard;
  ($seen, $heard) = ($now, $running);
  return "$^T-$$-$others.$starts";
}
`;

/** What a mark says of files alone, whatever runs. */
export const withoutRunning = (mark: string): string => mark.replace(/\.\d+$/, '');
