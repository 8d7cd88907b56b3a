/** Reads what the ruleset has counted: packets refused and packets observed, by peer, protocol and port. */
import { type Address, parseAddress } from '../../render/address.ts';
import { COUNTED_SECONDS, type CountedAs, type CountedBy, countedSetName } from '../../render/counted.ts';
import { TABLE } from '../../render/ruleset.ts';
import { CommandError, type Run } from '../commands/run.ts';
import { mapInTurns } from '../in-turns.ts';

/** A pair of sets, one for each family. */
export interface Counting {
  readonly as: CountedAs;
  readonly by: CountedBy;
  /** Of containers on bridges; such sets are there only on a host that has some. */
  readonly isBridged?: boolean;
}

export interface CountedElement extends Counting {
  /** The set that holds it, and its key in nft's words: `"veth0" . 192.0.2.53 . 17 . 53`. */
  readonly set: string;
  readonly key: string;
  /** Of what is refused the host-side interface; behind a bridge, and of what is observed, the container's own address. */
  readonly whose: string;
  /** Of egress the destination; of everything else the source that the packet names. */
  readonly peer: Address;
  readonly protocol: number;
  /** The destination port; of ICMP its type × 256 + its code; else 0. */
  readonly port: number;
  /** Since it came into the set. */
  readonly packets: number;
  readonly bytes: number;
  /** Milliseconds since its last packet. */
  readonly age: number;
}

/**
 * One fork for all of the sets, beside the resident nft: a long listing must keep no transaction waiting. A line each,
 * since of several commands in one line, nft 1.0.6 finds only the last one's set.
 *
 * @param whose interfaces or addresses that are wanted; all without it
 * @throws CommandError
 */
export async function readCounted(
  run: Run,
  countings: readonly Counting[],
  whose?: ReadonlySet<string>,
): Promise<CountedElement[]> {
  if (countings.length === 0) return [];
  const sets = countings.flatMap((counting) => (['4', '6'] as const).map((family) => countedSetName(counting, family)));
  const input = sets.map((set) => `list set inet ${TABLE} ${set}\n`).join('');
  const { stdout, stderr } = await run('nft', ['--numeric', '-i'], { input, timeout: 60_000 });
  // Its exit status tells nothing of single lines.
  const complaints = stderr.replace(NOT_YET, '');
  if (complaints !== '') throw new CommandError(`nft: ${complaints.trim()}`);
  if (whose === undefined) return await mapInTurns(countedIn(stdout), (element) => element);
  const found = await mapInTurns(countedIn(linesOf(stdout, whose)), (element) => element);
  return found.filter((element) => whose.has(element.whose));
}

/** The first of a line: `"veth0" . 192.0.2.53 …`, also `elements = { 198.51.100.10 . 192.0.2.53 …` */
const FIRST = /^\s*(?:elements = \{ )?"?([^\s"]+)"? \. /;

/** Where theirs may stand: mostly few of tens of thousands, of which each takes ten times as long to be understood. */
function linesOf(listing: string, whose: ReadonlySet<string>): string {
  const isWanted = (line: string): boolean => {
    const [, first] = FIRST.exec(line) ?? [];
    const comma = line.indexOf(',');
    const isAlone = comma < 0 || comma === line.length - 1;
    return first === undefined || whose.has(first) || !isAlone;
  };
  return listing.split('\n').filter(isWanted).join('\n');
}

/** Containers on bridges are configured, and not served yet. */
const NOT_YET = /Error: No such file or directory\nlist set inet routewall bridged_\w+\n[ ^]*\n/g;

const SET = /set ((bridged_)?(refused|observed)_(egress|ingress|spoof|guard)[46]) \{/;
// Bounded, so that text which is no element costs no more than its length.
const ELEMENT =
  /((?:"([^"\n]{1,15})"|([\da-f.:]{2,45})) \. (\S{2,45}) \. (\d{1,3}) \. (\d{1,5})) counter packets (\d{1,20}) bytes (\d{1,20})(?: timeout \w+)?(?: expires (\w+))?/;
const PATTERN = new RegExp(`${SET.source}|${ELEMENT.source}`, 'g');

/** `"veth0" . 192.0.2.53 . 17 . 53 counter packets 1 bytes 29 expires 59m40s` below `set refused_egress4 {` */
export const parseCounted = (listing: string): CountedElement[] => [...countedIn(listing)];

function* countedIn(listing: string): Generator<CountedElement> {
  let within: (Counting & { readonly set: string }) | undefined;
  for (const [, set, bridged, as, by, key, veth, own, text = '', ...rest] of listing.matchAll(PATTERN)) {
    if (set !== undefined) {
      within = {
        set,
        as: as === 'observed' ? 'observed' : 'refused',
        by: countedBy(by),
        isBridged: bridged !== undefined,
      };
      continue;
    }
    const peer = parseAddress(text);
    const whose = veth ?? own;
    if (within === undefined || key === undefined || whose === undefined || peer === undefined) continue;
    const [protocol, port, packets, bytes] = rest.slice(0, 4).map(Number);
    const age = COUNTED_SECONDS[within.as] * 1000 - milliseconds(rest[4] ?? '');
    yield {
      ...{ ...within, key, whose, peer, protocol: protocol ?? 0, port: port ?? 0 },
      ...{ packets: packets ?? 0, bytes: bytes ?? 0, age: Math.max(0, age) },
    };
  }
}

function countedBy(text: string | undefined): CountedBy {
  return text === 'ingress' || text === 'spoof' || text === 'guard' ? text : 'egress';
}

const UNITS: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** `59m40s572ms` */
const milliseconds = (text: string): number =>
  [...text.matchAll(/(\d+)(ms|[dhms])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS[unit ?? ''] ?? 0),
    0,
  );
