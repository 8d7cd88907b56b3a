/** What can be seen of a container's start from outside, each with the moment in which this process saw it. */
import { setTimeout } from 'node:timers/promises';
import type { Child } from '../sandbox/child.ts';
import type { Routewall } from '../test/lxc/routewall.ts';

/**
 * What a container leaves in the kernel is cleared away behind its stop: who starts meanwhile waits some 100 ms for that, with a
 * hook or without.
 */
export const untilCleared = (): Promise<void> => setTimeout(400);

export interface StartWatch {
  /** When lxc-monitor said that the container is in that state, after `begin`; NaN where it didn't. */
  state(name: string, state: string, begin: number): number;
  /** When the kernel told of a container's new veth, after `begin`. */
  link(begin: number): number;
  /** When the kernel told of the last commit of rules before `until`. */
  commit(until: number): number;
  /** Asks the address from beyond the uplink each 4 ms; answers when the first reply came. */
  firstReply(address: string): Promise<number>;
}

interface Seen {
  readonly line: string;
  readonly at: number;
}

/** `nft monitor` would look up all that it tells of. NFNLGRP_NFTABLES 7; NFT_MSG_NEWGEN 15 of subsystem 10, once a commit. */
const COMMITS = String.raw`
$| = 1;
socket(my $netlink, 16, 3, 12) or die "netlink: $!\n";
bind($netlink, pack('SSLL', 16, 0, 0, 1 << 6)) or die "netlink: $!\n";
print "listening\n";
while (defined recv($netlink, my $data, 1 << 18, 0) || $!{ENOBUFS}) {
  for (my $at = 0; $at + 16 <= length $data;) {
    my ($length, $type) = unpack("\@$at IS", $data);
    print "commit\n" if $type == 10 << 8 | 15;
    $at += ($length + 3) & ~3;
  }
}`;

export function watchStarts({ bed }: Routewall): StartWatch {
  const states: Seen[] = [];
  const links: Seen[] = [];
  const note =
    (into: Seen[]) =>
    (line: string): void =>
      void into.push({ line, at: performance.now() });
  const lxc = ['-oL', 'lxc-monitor', '-P', bed.lxcPath, '-n', '[chn][0-9]'];
  bed.host.spawn('stdbuf', lxc, { onLine: note(states) });
  // A neighbour that is asked for before the container has its address is asked for again at once; by default in a second,
  // and the first reply would tell of that alone.
  const shell = bed.host.spawn('sh', []);
  const hasten = (line: string): void => {
    const [, name] = /^\d+: (veth[^@: ]+)/.exec(line) ?? [];
    if (name !== undefined) shell.write(`echo 4 2>/dev/null >/proc/sys/net/ipv4/neigh/${name}/retrans_time_ms\n`);
  };
  const noteLink = note(links);
  bed.host.spawn('ip', ['monitor', 'link'], {
    onLine: (line) => {
      noteLink(line);
      hasten(line);
    },
  });
  const commits: Seen[] = [];
  bed.host.spawn('perl', ['-e', COMMITS], { onLine: note(commits) });
  const first = (seen: readonly Seen[], begin: number, is: (line: string) => boolean): number =>
    seen.find(({ line, at }) => at >= begin && is(line))?.at ?? Number.NaN;
  return {
    state: (name, state, begin) => first(states, begin, (line) => line === `'${name}' changed state to [${state}]`),
    link: (begin) => first(links, begin, (line) => /^\d+: veth/.test(line)),
    commit: (until) => commits.findLast(({ line, at }) => at < until && line === 'commit')?.at ?? Number.NaN,
    firstReply: (address) =>
      new Promise((resolve) => {
        let ping: Child | undefined;
        const onLine = (line: string): void => {
          if (!line.includes(' bytes from ')) return;
          resolve(performance.now());
          ping?.signal('SIGKILL');
        };
        ping = bed.outside.spawn('ping', ['-n', '-i', '0.004', '-w', '60', address], { onLine });
        ping.exited.then(
          () => resolve(Number.NaN),
          () => resolve(Number.NaN),
        );
      }),
  };
}
