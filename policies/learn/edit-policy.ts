/** Writes rules into the text of a policy file; what stood there stays as it was written. */
import { isMap, isNode, isScalar, isSeq, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';
import type { ProposedRule } from './propose-rules.ts';

/** The rules come after those that stand at `[...path, 'rules']`: a file's own drops go on winning. */
export interface Addition {
  readonly path: readonly string[];
  readonly rules: readonly ProposedRule[];
}

export interface Edited {
  readonly text: string;
  /** Lists and mappings in brackets had to be written anew, line by line; comments are kept. */
  readonly rewritten: boolean;
}

/** `remove`: keys of the top level. `describe`: the comment lines above a rule. */
export function editPolicy(
  before: string,
  additions: readonly Addition[],
  remove: readonly string[],
  describe: (rule: ProposedRule) => readonly string[],
): Edited {
  let text = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  const paths = additions.map(({ path }) => path);
  const rewritten = paths.some((path) => needsRewriting(text, path));
  if (rewritten) text = inBlocks(text, paths);
  for (const key of remove) text = removeKey(text, key);
  for (const { path, rules } of additions) {
    if (rules.length > 0) text = insert(text, path, (indent) => renderRules(rules, indent, describe));
  }
  return { text, rewritten };
}

function renderRules(
  rules: readonly ProposedRule[],
  indent: string,
  describe: (rule: ProposedRule) => readonly string[],
): string {
  return rules
    .map((rule) => {
      const peers = rule.direction === 'egress' ? 'to' : 'from';
      const lines = [
        ...describe(rule).map((line) => `# ${line}`),
        `- allow: ${inline(rule.services)}`,
        `  ${peers}: ${inline(rule.peers)}`,
      ];
      return lines.map((line) => `${indent}${line}\n`).join('');
    })
    .join('');
}

/** `ssh`, or `[http, "2001:db8::"]` */
const inline = (words: readonly string[]): string => {
  const [only] = words;
  const value = words.length === 1 ? only : words;
  return stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trim();
};

function rootOf(text: string): YAMLMap | undefined {
  const { contents } = parseDocument(text, { uniqueKeys: false, merge: false });
  return isMap(contents) ? contents : undefined;
}

const pairOf = (map: YAMLMap, key: string): Pair | undefined =>
  map.items.find((pair) => isScalar(pair.key) && String(pair.key.value) === key);

/** Mappings and lists from the root to the rules, as far as they are there. */
function nodesOn(root: YAMLMap, path: readonly string[]): unknown[] {
  const found: unknown[] = [root];
  for (const key of [...path, 'rules']) {
    const map = found.at(-1);
    const pair = isMap(map) ? pairOf(map, key) : undefined;
    if (pair === undefined) break;
    found.push(pair.value);
  }
  return found;
}

/** What stands in brackets, or is empty, has no lines to add to. */
function needsRewriting(text: string, path: readonly string[]): boolean {
  const root = rootOf(text);
  return root !== undefined && nodesOn(root, path).some((node) => !isBlock(node));
}

const isBlock = (node: unknown): boolean => (isMap(node) || isSeq(node)) && node.flow !== true && node.items.length > 0;

function inBlocks(text: string, paths: readonly (readonly string[])[]): string {
  const document = parseDocument(text, { uniqueKeys: false, merge: false });
  const root = document.contents;
  if (!isMap(root)) return text;
  for (const path of paths) {
    for (const node of nodesOn(root, path)) if (isMap(node) || isSeq(node)) node.flow = false;
    // An empty list or mapping stands in brackets whatever it is told: it comes back with its first rule.
    for (const depth of [path.length + 1, path.length]) {
      const at = [...path, 'rules'].slice(0, depth);
      const node = document.getIn(at);
      if (node === null || ((isMap(node) || isSeq(node)) && node.items.length === 0)) document.deleteIn(at);
    }
  }
  if (root.items.length === 0) return '';
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}

function insert(text: string, path: readonly string[], render: (indent: string) => string): string {
  const root = rootOf(text);
  const keys = [...path, 'rules'];
  if (root === undefined) return `${text}${nest(keys, '', render)}`;
  const nodes = nodesOn(root, path);
  const deepest = nodes.at(-1);
  const at = lineAfter(text, endOf(deepest));
  const indent = ' '.repeat(columnOf(text, startOf(deepest)));
  return `${text.slice(0, at)}${nest(keys.slice(nodes.length - 1), indent, render)}${text.slice(at)}`;
}

/** The keys that are missing, and the rules below them. */
function nest(keys: readonly string[], indent: string, render: (indent: string) => string): string {
  const [key, ...rest] = keys;
  if (key === undefined) return render(indent);
  return `${indent}${stringify(key).trim()}:\n${nest(rest, `${indent}  `, render)}`;
}

function removeKey(text: string, key: string): string {
  const root = rootOf(text);
  const pair = root === undefined ? undefined : pairOf(root, key);
  if (pair === undefined) return text;
  const start = startOf(pair.key);
  return `${text.slice(0, start - columnOf(text, start))}${text.slice(lineAfter(text, endOf(pair.value ?? pair.key)))}`;
}

const startOf = (node: unknown): number => rangeOf(node)[0];

/** Of the last thing in it: a block's own range may take in the comments that follow. */
function endOf(node: unknown): number {
  if (isMap(node) && node.flow !== true) {
    const last = node.items.at(-1);
    return last === undefined ? rangeOf(node)[1] : endOf(last.value ?? last.key);
  }
  if (isSeq(node) && node.flow !== true) return endOf(node.items.at(-1));
  return rangeOf(node)[1];
}

function rangeOf(node: unknown): readonly [number, number] {
  const range = isNode(node) ? node.range : undefined;
  return range === null || range === undefined ? [0, 0] : [range[0], range[1]];
}

const columnOf = (text: string, at: number): number => at - (text.lastIndexOf('\n', at - 1) + 1);

function lineAfter(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at;
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end + 1;
}
