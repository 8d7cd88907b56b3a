/** What other programs' base chains do with a packet that ours let pass; pure, and never surer than it can be. */
import type { JsonObject } from '../json-shape.ts';
import { evaluateMatch, type ForeignPacket, type Match } from './foreign-match.ts';
import type { ForeignChain } from './foreign-ruleset.ts';

/** A chain that drops it: surely, or if something holds that can't be told from here. */
export interface ForeignDrop {
  readonly chain: ForeignChain;
  readonly sure: boolean;
  /** `that chain's default (policy drop)`, or the chain that says so: `rule 3 of chain DOCKER`. */
  readonly by: string;
}

/** The hooks of its way: what is forwarded, what comes to the host, what the host sends. */
export const HOOKS = {
  forward: ['prerouting', 'forward', 'postrouting'],
  input: ['prerouting', 'input'],
  output: ['output', 'postrouting'],
} as const;

export type Way = keyof typeof HOOKS;

/** One for each base chain that drops, or may drop. */
export function judgePacket(chains: readonly ForeignChain[], way: Way, asked: ForeignPacket): ForeignDrop[] {
  const hooks: readonly string[] = HOOKS[way];
  const packet: ForeignPacket = { destinationType: way === 'input' ? 'local' : 'unicast', ...asked };
  return chains
    .filter(({ base, table }) => base !== null && hooks.includes(base.hook) && hasFamily(table, packet))
    .flatMap((chain) => judgeChain(chains, chain, packet) ?? []);
}

/** By one of several ways, and nobody can tell from here which: sure is what each of them says. */
export function judgePackets(
  chains: readonly ForeignChain[],
  way: Way,
  asked: readonly ForeignPacket[],
): ForeignDrop[] {
  const drops = asked.map((packet) => judgePacket(chains, way, packet));
  const found = new Map(drops.flat().map((drop) => [drop.chain, drop]));
  return [...found.values()].map((drop) => ({
    ...drop,
    sure: drops.every((each) => each.some(({ chain, sure }) => sure && chain === drop.chain)),
  }));
}

export function hasFamily(table: string, { family }: ForeignPacket): boolean {
  const [word] = table.split(' ');
  return word === 'inet' || word === (family === 4 ? 'ip' : 'ip6');
}

/** What is known after some rules. */
interface Walk {
  /** By now it may have been accepted, or have left the chain. */
  mayPass: boolean;
  drop: Omit<ForeignDrop, 'chain'> | undefined;
}

function judgeChain(all: readonly ForeignChain[], chain: ForeignChain, packet: ForeignPacket): ForeignDrop | undefined {
  const walk: Walk = { mayPass: false, drop: undefined };
  const end = walkChain(all, chain, packet, walk, 0);
  if (end === 'return' && chain.base?.policy === 'drop')
    note(walk, !walk.mayPass, "that chain's default (policy drop)");
  return walk.drop && { ...walk.drop, chain };
}

/** What may drop is the answer until something surely does. */
function note(walk: Walk, sure: boolean, by: string): void {
  if (walk.drop === undefined || (sure && !walk.drop.sure)) walk.drop = { sure, by };
}

type End = 'accept' | 'drop' | 'return';

/** nft itself allows 16. */
const DEPTH = 16;

function walkChain(
  all: readonly ForeignChain[],
  chain: ForeignChain,
  packet: ForeignPacket,
  walk: Walk,
  depth: number,
): End {
  for (const [index, rule] of chain.rules.entries()) {
    const { match, verdict, target } = readRule(rule, packet);
    if (match === 'no' || verdict === undefined) continue;
    const isSure = match === 'yes';
    switch (verdict) {
      case 'drop':
        note(walk, isSure && !walk.mayPass, `rule ${index + 1} of chain ${chain.name}`);
        if (isSure) return 'drop';
        break;
      case 'accept':
      case 'return':
        if (isSure) return verdict;
        walk.mayPass = true;
        break;
      case 'unknown':
        walk.mayPass = true;
        break;
      case 'jump':
      case 'goto': {
        const next = all.find((one) => isBeside(one, chain) && one.name === target);
        if (next === undefined || depth >= DEPTH) walk.mayPass = true;
        else if (isSure) {
          const end = walkChain(all, next, packet, walk, depth + 1);
          if (end !== 'return' || verdict === 'goto') return end;
        } else tryJump(all, next, packet, walk, depth + 1);
      }
    }
  }
  return 'return';
}

const isBeside = (one: ForeignChain, chain: ForeignChain): boolean =>
  one.table === chain.table && one.program === chain.program;

/** A jump that may happen: what it comes to may be so, and may not. */
function tryJump(
  all: readonly ForeignChain[],
  next: ForeignChain,
  packet: ForeignPacket,
  walk: Walk,
  depth: number,
): void {
  const inside: Walk = { mayPass: walk.mayPass, drop: undefined };
  const end = walkChain(all, next, packet, inside, depth);
  walk.mayPass = inside.mayPass || end === 'accept';
  if (inside.drop !== undefined) note(walk, false, inside.drop.by);
}

interface Read {
  readonly match: Match;
  /** `unknown`: it decides, and nobody can tell from here how; `undefined`: it decides nothing. */
  readonly verdict: End | 'jump' | 'goto' | 'unknown' | undefined;
  readonly target?: string;
}

/** Statements that neither match nor decide. */
const SILENT = ['counter', 'log', 'comment', 'notrack', 'mangle', 'masquerade', 'snat', 'dnat', 'redirect', 'flow'];
const SILENT_TARGETS = [
  'LOG',
  'NFLOG',
  'MARK',
  'CONNMARK',
  'CT',
  'TCPMSS',
  'MASQUERADE',
  'SNAT',
  'DNAT',
  'REDIRECT',
  'TRACE',
];

function readRule(rule: readonly JsonObject[], packet: ForeignPacket): Read {
  let match: Match = 'yes';
  for (const expression of rule) {
    const [kind = '', value] = Object.entries(expression)[0] ?? [];
    const found = kind === 'match' ? evaluateMatch(value, packet) : 'yes';
    if (found === 'no') return { match: 'no', verdict: undefined };
    if (found === 'unknown') match = 'unknown';
    const name = textOf(value, 'name');
    switch (kind) {
      case 'accept':
      case 'drop':
      case 'return':
        return { match, verdict: kind };
      case 'reject':
        return { match, verdict: 'drop' };
      case 'jump':
      case 'goto':
        return { match, verdict: kind, target: textOf(value, 'target') };
      case 'vmap':
      case 'queue':
        return { match, verdict: 'unknown' };
      case 'xt':
        if (textOf(value, 'type') !== 'target') match = 'unknown';
        else if (name === 'REJECT') return { match, verdict: 'drop' };
        else if (!SILENT_TARGETS.includes(name)) return { match, verdict: 'unknown' };
        break;
      default:
        // A limit, or something newer than this.
        if (kind !== 'match' && !SILENT.includes(kind)) match = 'unknown';
    }
  }
  return { match, verdict: undefined };
}

const textOf = (value: unknown, key: string): string =>
  typeof value === 'object' && value !== null && key in value
    ? String(Object.entries(value).find(([name]) => name === key)?.[1])
    : '';
