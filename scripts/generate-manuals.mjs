// Writes the manual pages from what the program and the JSON Schemas say of themselves; the rest is in packaging/manual/.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadSource } from './load-source.mjs';
import { bold, item, page, paragraph, section, subsection, table, text, verbatim } from './roff.mjs';

/**
 * @param {{ root: string, help: ReturnType<typeof import('./read-help.mjs').readHelp>, version: string, date: string }} of
 * @returns {Promise<Record<string, string>>} roff by file name
 */
export async function renderManuals({ root, help, version, date }) {
  const schema = async (name) => JSON.parse(await readFile(join(root, 'policies', `${name}.schema.json`), 'utf8'));
  const prose = async (name) => parseProse(await readFile(join(root, 'packaging/manual', `${name}.txt`), 'utf8'));
  const common = { version, date };
  return {
    'routewall.8': renderProgram(common, help, await prose('routewall')),
    'routewall.yaml.5': renderConfig(common, await schema('config'), await prose('routewall.yaml')),
    'routewall-policy.5': renderPolicy(common, {
      schema: await schema('policy'),
      catalogue: (await loadSource('policies/catalogue.ts')).catalogue,
      prose: await prose('routewall-policy'),
    }),
  };
}

function renderProgram(common, { program, commands }, prose) {
  return page({ ...common, name: 'routewall', volume: 8, about: program.about }, [
    ...section('SYNOPSIS'),
    `${bold('routewall')} [options] ${text('command')} [...]`,
    ...section('DESCRIPTION'),
    ...prose.before,
    ...section('COMMANDS'),
    ...commands.flatMap(renderCommand),
    ...section('OPTIONS'),
    ...paragraph('Before or behind a command that takes them:'),
    ...renderEntries(program, 'Options'),
    ...section('EXIT STATUS'),
    ...program.notes.flatMap((line) => paragraph(line.replace(/^Exit status: /, ''))),
    ...prose.after,
  ]);
}

const renderCommand = (command) => [
  ...subsection(command.usage),
  ...paragraph(`${command.about[0].toUpperCase()}${command.about.slice(1)}.`),
  ...renderEntries(command, 'Arguments'),
  ...renderEntries(command, 'Options'),
  ...renderShared(command),
  ...command.notes.flatMap((note) => (note.startsWith(' ') ? verbatim([note.trim()]) : paragraph(note))),
  ...(command.sections.get('Examples') ?? command.sections.get('Example') ?? []).flatMap(({ flags }) =>
    verbatim([flags]),
  ),
];

/** Without what every command takes. */
function renderShared({ sections }) {
  const flags = (sections.get('Global Options') ?? [])
    .map(({ flags }) => flags.replace(/ <.*/, ''))
    .filter((each) => !/--(version|no-color)$/.test(each));
  return flags.length === 0 ? [] : paragraph(`Takes also ${flags.map((each) => `\`${each}\``).join('; ')}.`);
}

const renderEntries = ({ sections }, title) =>
  (sections.get(title) ?? [])
    .filter(({ flags }) => flags !== '-h, --help' || title !== 'Options')
    .flatMap(({ flags, text: meaning }) => item(bold(flags), meaning));

function renderConfig(common, schema, prose) {
  const about = 'what routewall is told about this host';
  return page({ ...common, name: 'routewall.yaml', volume: 5, about }, [
    ...section('DESCRIPTION'),
    ...prose.before,
    ...section('KEYS'),
    ...renderKeys(schema, schema),
    ...section('EXAMPLE'),
    ...schema.examples.flatMap(renderYaml),
    ...prose.after,
  ]);
}

function renderPolicy(common, { schema, catalogue, prose }) {
  const { egressRule, ingressRule, expectation, expectations, service, peers, profile, ownServices, addressSet } =
    schema.$defs;
  // A rule of egress has `to`, one of ingress `from`; all else is the same.
  const rule = { properties: { ...egressRule.properties, from: ingressRule.properties.from } };
  return page(
    { ...common, name: 'routewall-policy', volume: 5, about: 'what a container may send and what may reach it' },
    [
      ...section('DESCRIPTION'),
      ...paragraph(schema.description),
      ...prose.before,
      ...section('KEYS OF A POLICY'),
      ...renderKeys(schema, schema),
      ...section('KEYS OF A DIRECTION'),
      ...paragraph('`egress` and `ingress` have these:'),
      ...renderKeys(schema, schema.$defs.egress),
      ...section('RULES'),
      ...paragraph(
        'Exactly one of `allow`, `drop`, `reject` and `log` with services; the peers in `to` (egress) or `from` (ingress).',
      ),
      ...renderKeys(schema, rule),
      ...section('EXPECTATIONS'),
      ...paragraph(expectation.description),
      ...renderKeys(schema, expectation),
      ...section('SERVICES'),
      ...paragraph(service.description),
      ...paragraph('The names of the catalogue:'),
      ...renderCatalogue(catalogue),
      ...section('PEERS'),
      ...paragraph(peers.description),
      ...section('OTHER FILES'),
      ...Object.entries({
        Profiles: profile,
        Services: ownServices,
        Sets: addressSet,
        Expectations: expectations,
      }).flatMap(([title, part]) => [
        ...subsection(title),
        ...paragraph(part.description),
        ...(part.examples ?? []).flatMap(renderYaml),
      ]),
      ...section('EXAMPLE'),
      ...schema.examples.flatMap(renderYaml),
      ...prose.after,
    ],
  );
}

const renderCatalogue = (catalogue) =>
  table(
    16,
    [...catalogue].map(([name, { services, description }]) => [
      bold(name),
      `${services.map((word) => `\`${word}\``).join(', ')}: ${description}`,
    ]),
  );

/** Each key with its description and one example; a key that holds keys of its own is followed by them. */
function renderKeys(schema, { properties }, prefix = '') {
  return Object.entries(properties).flatMap(([key, value]) => {
    const part = '$ref' in value ? schema.$defs[value.$ref.replace('#/$defs/', '')] : value;
    const example = part.examples?.at(-1);
    const inner = '$ref' in value ? [] : renderInner(schema, part, `${prefix}${key}.`);
    const shown =
      example === undefined || part.type === 'object' ? [] : ['.br', text(`Example: \`${inYaml(key, example)}\``)];
    return [...item(bold(`${prefix}${key}`), part.description), ...shown, ...inner];
  });
}

const renderInner = (schema, part, prefix) => (part.properties === undefined ? [] : renderKeys(schema, part, prefix));

const inYaml = (key, value) =>
  stringify({ [key]: value }, { collectionStyle: 'flow', lineWidth: 0 })
    .trim()
    .replace(/^\{ (.*) \}$/s, '$1');

const renderYaml = (example) => verbatim(stringify(example, { lineWidth: 76 }).trimEnd().split('\n'));

/** Paragraphs, `# TITLE` for a section, `term: ` and a text for an item; what follows a line `---` comes last. */
function parseProse(source) {
  const [before = '', after = ''] = source.split(/^---$/m);
  return { before: renderProse(before), after: renderProse(after) };
}

function renderProse(source) {
  return source
    .split(/\n{2,}/)
    .map((block) => block.trim().replaceAll(/\n(?!\* )/g, ' '))
    .filter((block) => block !== '')
    .flatMap((block) => {
      if (block.startsWith('# ')) return section(block.slice(2));
      if (!block.startsWith('* ')) return paragraph(block);
      return block
        .split(/\n?^\* /m)
        .slice(1)
        .flatMap((entry) => {
          const [term = '', ...rest] = entry.split(' :: ');
          return item(bold(term), rest.join(' :: ').trim());
        });
    });
}
