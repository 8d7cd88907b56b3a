// Writes the bash completion from what the program says by --help, into the template in packaging/.
import { readFile } from 'node:fs/promises';

/** @param {{ program: import('./read-help.mjs').Help, commands: import('./read-help.mjs').Help[] }} help */
export async function renderCompletion(root, { program, commands }) {
  const template = await readFile(`${root}/packaging/completion.bash`, 'utf8');
  const shared = program.sections.get('Options') ?? [];
  const own = commands.map((command) => ({ ...command, options: withoutHelp(command.sections.get('Options')) }));
  // Its own, and which of those that commands share it honours.
  const options = own.map(({ name, options, sections }) => {
    const honoured = sections.get('Global Options') ?? [];
    return `    ${name}) options=(${words([...options, ...honoured, HELP])}) ;;`;
  });
  const values = [
    ...shared.flatMap(valuesOf('*')),
    ...own.flatMap((each) => each.options.flatMap(valuesOf(each.name))),
  ];
  const valued = [...shared, ...own.flatMap((each) => each.options)].filter(({ flags }) => flags.includes('<'));
  return template
    .replace('@COMMANDS@', commands.map(({ name }) => name).join(' '))
    .replace('@VALUED@', words(valued))
    .replace('@SHARED@', words(shared))
    .replace('@OPTIONS@', options.join('\n'))
    .replace('@VALUES@', values.join('\n'))
    .replace('@ARGUMENTS@', commands.flatMap(renderArguments).join('\n'));
}

/** All commands share it. */
const HELP = { flags: '-h, --help' };
const withoutHelp = (entries = []) => entries.filter(({ flags }) => flags !== HELP.flags);

const namesIn = (flags) => flags.match(/(?<=^|, )--?[\w-]+/g) ?? [];

/** `-P, --lxc-path <DIR>` is two words to complete. */
const words = (entries) => [...new Set(entries.flatMap(({ flags }) => namesIn(flags)))].join(' ');

/** What follows an option, after `command` or any. */
const valuesOf = (command) => (entry) => {
  const action = actionFor(/<(\w+)>/.exec(entry.flags)?.[1], entry.text, ' && return');
  const patterns = namesIn(entry.flags).map((name) => (command === '*' ? `*" ${name}"` : `"${command} ${name}"`));
  return action === undefined ? [] : [`    ${patterns.join(' | ')}) ${action} ;;`];
};

/** One that may be given several times stands for all behind it. */
const renderArguments = ({ name, usage, sections }) =>
  (sections.get('Arguments') ?? []).flatMap(({ flags, text }, index) => {
    const action = actionFor(flags, text);
    const at = usage.includes(`${flags}...`) ? `"${name} "*` : `"${name} ${index}"`;
    return action === undefined ? [] : [`    ${at}) ${action} ;;`];
  });

/** `(choices: "nft", "routing")` completes to these, a FILE or a DIR to paths. */
function actionFor(kind, text, behind = '') {
  const list = /\(choices: ((?:"[^"]*"(?:, )?)+)/.exec(text)?.[1];
  if (list !== undefined) return `words="${[...list.matchAll(/"([^"]*)"/g)].map(([, word]) => word).join(' ')}"`;
  if (/\bREVISION\b/.test(kind ?? '')) return `_routewall_reply "$(_routewall_revisions)" "$cur"`;
  if (kind === 'FILE') return `_routewall_files -f "$cur"${behind}`;
  return kind === 'DIR' ? `_routewall_files -d "$cur"${behind}` : undefined;
}
