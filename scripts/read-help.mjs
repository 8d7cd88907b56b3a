// Reads what the program says of itself by --help, for the manual page and the completion.
import { execFileSync } from 'node:child_process';

/**
 * @typedef {{ flags: string, text: string }} Entry
 * @typedef {{ name: string, usage: string, about: string, notes: string[], sections: Map<string, Entry[]> }} Help
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
  const usage = /^Usage: (.*)$/m.exec(text)?.[1] ?? '';
  const sections = new Map();
  const [about, notes] = [[], []];
  let title = '';
  for (const line of joinBroken(text).split('\n')) {
    const [, flags, meaning = ''] = /^ {2}(\S.*?)(?: {2,}(\S.*))?$/.exec(line) ?? [];
    if (/^[A-Z][\w ]*:$/.test(line)) title = line.slice(0, -1);
    else if (flags !== undefined) add(sections, title, { flags, text: meaning });
    else if (line !== '' && !line.startsWith('Usage: ')) (title === '' ? about : notes).push(line);
  }
  return { name, usage, about: about.join(' '), notes, sections };
}

/** Takes back the line breaks that fit the text to a terminal. */
const joinBroken = (text) => text.replace(/\n {8,}(?=\S)/g, ' ');

function add(sections, title, entry) {
  sections.set(title, [...(sections.get(title) ?? []), entry]);
}
