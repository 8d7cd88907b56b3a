/** A page of the documentation as steps: the files that it writes, and the commands with what they say. */

export interface Step {
  /** A command, or the path of a file. */
  readonly kind: 'file' | 'command';
  readonly name: string;
  /** What the file holds, or what the command says. */
  readonly text: string;
}

/** The indented blocks, in their order. Blank lines between two indented ones belong to the block. */
export function parsePage(page: string): readonly Step[] {
  const blocks = page.match(/(?<=\n\n)(?: {4}.*\n|\n+(?= {4}))+/g) ?? [];
  return blocks.map((block) => block.replaceAll(/^ {4}/gm, '')).flatMap(parseBlock);
}

function parseBlock(block: string): readonly Step[] {
  const path = /^# (\/\S+)\n/.exec(block)?.[1];
  if (path !== undefined) return [{ kind: 'file', name: path, text: block }];
  const [before, ...commands] = block.split(/^\$ /m);
  if (before !== '') throw new Error(`a block begins neither with a path nor with a command: ${block}`);
  return commands.map((text) => {
    const [name = '', ...said] = text.split('\n');
    return { kind: 'command', name, text: said.join('\n') };
  });
}

/** All that may differ between two runs, and between a run and the page. */
const NORMAL: readonly (readonly [pattern: RegExp, instead: string])[] = [
  // apt runs dpkg on a terminal of its own.
  [/\r+\n/g, '\n'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\b/g, 'YYYY-MM-DD hh:mm:ss UTC'],
  [/^(routewall \w+ )\d{14}[.]\d{3}(?= ERROR )/gm, '$1YYYYMMDDhhmmss.mmm'],
  [/\b\d+[.]\d+ ms$/gm, 'N ms'],
  [/(?<= = )[\d.]+\/[\d.]+\/(?=N ms$)/gm, ''],
  [/(?<=\bprocess )\d+/g, 'N'],
  // LXC's own, of the same length each time, so that columns stay where they are.
  [/\bveth[0-9A-Za-z]{6}\b/g, 'vethXXXXXX'],
  // Before the version of the package, since npm and dpkg say it in the name of a file.
  [/(?<=package: )\/\S+(?=\/dist\/routewall_)/g, '/CHECKOUT'],
  [/(?<=\broutewall[_@]|\broutewall \()\d+[.]\d+[.]\d+/g, 'VERSION'],
];

export const normalise = (text: string): string =>
  NORMAL.reduce((said, [pattern, instead]) => said.replaceAll(pattern, instead), text).trim();

/** What was said, with as much left out as the page leaves out by lines of `…`; all of it where the rest differs. */
export function abridge(said: string, shown: string): string {
  const lines = shown.split('\n').map((line) => (line === '…' ? '(?:[^\n]*\n)*?' : `${escaped(line)}\n`));
  return new RegExp(`^${lines.join('')}$`).test(`${said}\n`) ? shown : said;
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
