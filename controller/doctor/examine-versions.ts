/** Programs and kernels that are too old, and what each lacks; pure. */
import type { Finding } from './finding.ts';

export type Versioned = 'nft' | 'kernel' | 'LXC' | 'iproute2';

/** As the programs say them, such as `6.1.0-18-amd64`; those that can't be asked are left out. */
export type Versions = ReadonlyMap<Versioned, string>;

interface Row {
  readonly of: Versioned;
  /** The first that has it. */
  readonly since: readonly number[];
  readonly severity: Finding['severity'];
  readonly lacks: string;
}

const ROWS: readonly Row[] = [
  {
    of: 'kernel',
    since: [5, 4],
    severity: 'error',
    lacks: 'it knows no time in rules, by which until: ends, and refuses them',
  },
  {
    of: 'kernel',
    since: [6, 9],
    severity: 'note',
    lacks: 'tables have no lasting owner: whoever flushes nft opens a moment until it is healed',
  },
  { of: 'nft', since: [1, 0, 6], severity: 'warning', lacks: 'routewall was never tried with it' },
  {
    of: 'nft',
    since: [1, 1],
    severity: 'note',
    lacks: 'tables have no lasting owner: whoever flushes nft opens a moment until it is healed',
  },
  {
    of: 'LXC',
    since: [4],
    severity: 'error',
    lacks: 'it has no routed veth (veth.mode, veth.ipv4.route) and no hook that tells which interface it is about',
  },
  { of: 'LXC', since: [5], severity: 'note', lacks: 'routewall was never tried with it' },
  {
    of: 'iproute2',
    since: [5, 0],
    severity: 'error',
    lacks: 'its neighbour proxies bear no protocol, so that nobody knows whose they are',
  },
];

/** Of several rows about one program the gravest alone. */
export function examineVersions(versions: Versions): Finding[] {
  const findings = new Map<Versioned, Finding>();
  for (const { of, since, severity, lacks } of ROWS) {
    const version = versions.get(of);
    if (version === undefined || findings.has(of) || !isBefore(version, since)) continue;
    findings.set(of, {
      severity,
      container: null,
      message: `${of} ${version} is older than ${since.join('.')}: ${lacks}`,
      mend: null,
    });
  }
  return [...findings.values()];
}

function isBefore(version: string, since: readonly number[]): boolean {
  const numbers = (/\d+(\.\d+)*/.exec(version)?.[0] ?? '').split('.').map(Number);
  for (const [index, wanted] of since.entries()) {
    const number = numbers[index] ?? 0;
    if (number !== wanted) return number < wanted;
  }
  return false;
}
