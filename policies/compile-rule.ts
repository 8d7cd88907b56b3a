/** One rule of a policy file as the chain's rules: one for each combination of peer and service that can match. */
import type { Family } from '../render/address.ts';
import type { Rule, ServiceMatch, Verdict } from '../render/rule.ts';
import { rulesHash } from './chain-hash.ts';
import { type CompileContext, type PlacedWord, placedWords } from './compile-context.ts';
import { mergeServices } from './merge-services.ts';
import { formatMoment, parseMoment } from './moment.ts';
import { mergePeers, peerFamilies, type ResolvedPeer, resolvePeer } from './peers.ts';
import type { Path } from './places.ts';
import type { EgressRule, IngressRule } from './policy.gen.ts';
import type { PolicyDocument } from './policy-document.ts';
import { shownFile } from './policy-files.ts';
import { parseLimit } from './rate-limit.ts';
import { isServiceName } from './services.ts';

interface ResolvedWord {
  readonly word: PlacedWord;
  readonly matches: readonly ServiceMatch[];
}

/** Empty where the rule is switched off, can match nothing, or is wrong (which is reported). */
export function compileRule(
  rule: EgressRule | IngressRule,
  path: Path,
  document: PolicyDocument,
  context: CompileContext,
): Rule[] {
  const { action, services } = actionOf(rule);
  const servicesPath = [...path, action];
  const words = placedWords(services, servicesPath).flatMap((word) => resolveService(word, document, context) ?? []);
  const [peersKey, peerWords] = 'to' in rule ? (['to', rule.to] as const) : (['from', rule.from] as const);
  const placed = placedWords(peerWords, [...path, peersKey]);
  const peers = placed.flatMap((word) => resolvePeer(word, document, context) ?? []);
  const until = rule.until === undefined ? undefined : momentOf(rule.until, [...path, 'until'], document, context);
  const limit = rule.limit === undefined ? undefined : limitOf(rule.limit, [...path, 'limit'], document, context);
  // A rule that is switched off is checked, so that switching it on again holds no surprise.
  if (refusesByName(action, peers, document, context)) return [];
  if (peers.length < placed.length || words.length === 0 || rule.enabled === false) return [];
  reportMismatches(words, peers, document, context);
  const shared = {
    action,
    log: action !== 'log' && rule.log === true,
    origin: { file: shownFile(document.file), ...document.placeOf(path) },
    ...(rule.name === undefined ? {} : { name: rule.name }),
    ...(until === undefined ? {} : { until }),
  };
  if (until !== undefined && isOver(until, [...path, 'until'], document, context)) return [];
  const rules = expand(peers, words, shared);
  if (limit === undefined) return rules;
  // By content, so that a rule keeps its count when lines are written above it.
  const counted = { ...limit, shared: rulesHash(rules) };
  return rules.map((one) => ({ ...one, limit: counted }));
}

function momentOf(text: string, path: Path, document: PolicyDocument, { report }: CompileContext): number | undefined {
  const moment = parseMoment(text);
  return typeof moment === 'number' ? moment : void report(document.problemAt(path, moment));
}

function limitOf(text: string, path: Path, document: PolicyDocument, { report }: CompileContext) {
  const limit = parseLimit(text);
  return typeof limit === 'object' ? limit : void report(document.problemAt(path, limit));
}

function isOver(until: number, path: Path, document: PolicyDocument, { lookups, report }: CompileContext): boolean {
  if (!lookups.ask('ended', String(until))) return false;
  const message = `the rule ended at ${formatMoment(until)}: remove it, or give it a later moment`;
  report(document.problemAt(path, message, 'warning'));
  return true;
}

/** What a name stands for is known late and never whole: what it is to refuse would pass meanwhile. */
function refusesByName(
  action: Verdict | 'log',
  peers: readonly ResolvedPeer[],
  document: PolicyDocument,
  { report }: CompileContext,
): boolean {
  if (action !== 'drop' && action !== 'reject') return false;
  const named = peers.filter(({ target }) => typeof target !== 'string' && 'dns' in target);
  for (const { word } of named) {
    const message = `"${word.text}" can't be refused, since its addresses are never all known: allow what may pass, or name addresses`;
    report(document.problemAt(word.path, message));
  }
  return named.length > 0;
}

function actionOf(rule: EgressRule | IngressRule): {
  readonly action: Verdict | 'log';
  readonly services: string | readonly string[];
} {
  for (const action of ['allow', 'drop', 'reject'] as const) {
    const services = rule[action];
    if (services !== undefined) return { action, services };
  }
  return { action: 'log', services: typeof rule.log === 'boolean' || rule.log === undefined ? [] : rule.log };
}

function resolveService(
  word: PlacedWord,
  document: PolicyDocument,
  { lookups, loaded, report }: CompileContext,
): ResolvedWord | undefined {
  // Only names depend on services.yaml.
  const table = isServiceName(word.text) ? lookups.ask('services', '') : loaded.services;
  const resolved = table.resolve(word.text);
  if ('matches' in resolved) return { word, matches: resolved.matches };
  return void report(document.problemAt(word.path, resolved.message));
}

function expand(
  peers: readonly ResolvedPeer[],
  words: readonly ResolvedWord[],
  shared: Pick<Rule, 'action' | 'log' | 'origin' | 'name' | 'until'>,
): Rule[] {
  const services = mergeServices(words.flatMap(({ matches }) => matches));
  return mergePeers(peers).flatMap((alternative) => {
    const family = alternative.peer.kind === 'ranges' ? alternative.peer.family : alternative.family;
    const fitting = services.filter((service) => family === undefined || fits(service, family));
    return fitting.map((service) => ({ ...alternative, service, ...shared }));
  });
}

const fits = (service: ServiceMatch, family: Family): boolean => service.kind !== 'icmp' || service.family === family;

/** A word that no other side of the rule can go with would silently do nothing. */
function reportMismatches(
  words: readonly ResolvedWord[],
  peers: readonly ResolvedPeer[],
  document: PolicyDocument,
  { report }: CompileContext,
): void {
  const reachable = new Set(peers.flatMap(peerFamilies));
  if (reachable.size === 0) return;
  const lonely = words.filter(({ matches }) => ![...reachable].some((family) => matchesFamily(matches, family)));
  for (const { word } of lonely) {
    const [peerFamily] = reachable;
    const message = `"${word.text}" is IPv${peerFamily === 4 ? 6 : 4} only, and the peers are IPv${peerFamily} only: the rule can't match`;
    report(document.problemAt(word.path, message));
  }
  if (lonely.length > 0) return;
  for (const peer of peers) {
    const families = peerFamilies(peer);
    if (families.length === 0 || words.some(({ matches }) => families.some((f) => matchesFamily(matches, f)))) continue;
    const message = `"${peer.word.text}" is IPv${families[0]} only, and the services are not: the rule can't match it`;
    report(document.problemAt(peer.word.path, message));
  }
}

const matchesFamily = (matches: readonly ServiceMatch[], family: Family): boolean =>
  matches.some((match) => fits(match, family));
