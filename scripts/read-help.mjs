// Reads what the program says of itself by --help, for the manual page and the completion.
import { execFileSync } from 'node:child_process';

/**
 * @typedef {{ flags: string, text: string }} Entry
 * @typedef {{ name: string, usage: string, about: string, notes: string[], sections: Map<string, Entry[]> }} Help
 * `notes`: what is said behind the options, a paragraph each; lines that begin with blanks stand alone
 */

/** @returns {{ program: Help, commands: Help[] }} one for the program, and one for each of its commands. */
export function readHelp(bundle) {
  const program = parseHelp('routewall', ask(bundle, []));
  const names = (program.sections.get('Commands') ?? []).map(({ flags }) => flags.split(' ')[0]);
  const commands = names.filter((name) => name !== 'help').map((name) => parseHelp(name, ask(bundle, [name])));
  return { program, commands };
}

const ask = (bundle, args) =>
  execFileSync(process.execPath, [bundle, ...args, '--help'], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], NO_COLOR: '1' },
  });

/** @returns {Help} */
function parseHelp(name, text) {
  const [usage = '', ...blocks] = joinBroken(text).trimEnd().split(/\n\n+/);
  const sections = new Map();
  const [about, notes] = [[], []];
  for (const [first = '', ...rest] of blocks.map((block) => block.split('\n'))) {
    if (/^[A-Z][\w ]*:$/.test(first)) sections.set(first.slice(0, -1), rest.map(parseEntry));
    else if (sections.size === 0) about.push([first, ...rest].join(' '));
    else notes.push(...paragraphs([first, ...rest]));
  }
  return { name, usage: usage.replace(/^Usage: /, ''), about: about.join(' '), notes, sections };
}

function parseEntry(line) {
  const [, flags = '', text = ''] = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/.exec(line) ?? [];
  return { flags, text };
}

function paragraphs(lines) {
  const found = [];
  for (const line of lines) {
    const before = found.at(-1);
    if (before === undefined || line.startsWith(' ') || before.startsWith(' ')) found.push(line);
    else found[found.length - 1] = `${before} ${line}`;
  }
  return found;
}

/** Takes back the line breaks that fit the text to a terminal. */
const joinBroken = (text) => text.replace(/\n {8,}(?=\S)/g, ' ');
