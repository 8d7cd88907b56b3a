// Writes the bash completion from what the program says by --help, into the template in packaging/.
import { readFile } from 'node:fs/promises';

/** @param {{ program: import('./read-help.mjs').Help, commands: import('./read-help.mjs').Help[] }} help */
export async function renderCompletion(root, { program, commands }) {
  const template = await readFile(`${root}/packaging/completion.bash`, 'utf8');
  const options = commands.map(({ name, sections }) => `    ${name}) options+=(${words(sections.get('Options'))}) ;;`);
  return template
    .replace('@COMMANDS@', commands.map(({ name }) => name).join(' '))
    .replace('@SHARED@', words(program.sections.get('Options')))
    .replace('@OPTIONS@', options.join('\n'))
    .replace('@CHOICES@', commands.flatMap(choices).join('\n'));
}

/** `-P, --lxc-path <DIR>` is two words to complete. */
const words = (entries = []) =>
  [...new Set(entries.flatMap(({ flags }) => flags.match(/(?<=^|, )--?[\w-]+/g)))].join(' ');

/** `--what <WHAT>` with `(choices: "nft", "routing")` completes to these. */
const choices = ({ name, sections }) =>
  (sections.get('Options') ?? []).flatMap(({ flags, text }) => {
    const list = /\(choices: ((?:"[^"]*"(?:, )?)+)/.exec(text)?.[1];
    const option = /--[\w-]+/.exec(flags)?.[0];
    return list === undefined
      ? []
      : [`    "${name} ${option}") words="${[...list.matchAll(/"([^"]*)"/g)].map((m) => m[1]).join(' ')}" ;;`];
  });
