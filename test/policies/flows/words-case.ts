/** A golden pair of policies (fixtures/words): the files before and after a change, and the words that tell it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { describeFlows } from '../../../controller/explain/describe-changes.ts';
import type { NicChange } from '../../../controller/explain/flow-changes.ts';
import { describeContainer } from '../../../controller/host/containers.ts';
import { asObject, asText, at, orNull, type Placed } from '../../../controller/json-shape.ts';
import { type Assembled, createAssembler, type HostInputs } from '../../../controller/pass/assemble.ts';
import { defaultConfig } from '../../../policies/config.ts';
import { parseLinks } from '../../../policies/host-network.ts';
import { loadPolicies } from '../../../policies/load-policies.ts';
import { NO_NAMES } from '../../../render/dns-name.ts';
import { type InterfaceName, parseInterfaceName } from '../../../render/names.ts';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../../watchers/lxc-config/real-files.ts';

export const FOLDER = 'fixtures/words';
const LXC = resolve(FOLDER, '_lxc');

export interface WordsCase {
  readonly name: string;
  readonly about: string;
  /** `+ ` before what opens, `- ` before all else. */
  readonly words: string;
  readonly before: HostInputs;
  readonly after: HostInputs;
}

export const wordsCases = (): WordsCase[] =>
  readdirSync(FOLDER)
    .filter((file) => file.endsWith('.yaml'))
    .sort()
    .map((file) => readCase(file));

function readCase(file: string): WordsCase {
  const root: Placed = { value: parse(readFileSync(join(FOLDER, file), 'utf8')), path: file };
  const object = asObject(root);
  const before = filesIn(at(object, 'before', file));
  const after = filesIn(at(object, 'after', file));
  return {
    name: file.replace(/\.yaml$/, ''),
    about: asText(at(object, 'about', file)),
    words: asText(at(object, 'words', file)),
    before: inputsOf(before),
    after: inputsOf(new Map([...before, ...after])),
  };
}

/** By path; `null` for a file that isn't there. What `after` doesn't name stays. */
function filesIn(of: Placed): Map<string, string | null> {
  const object = asObject(of);
  return new Map(Object.keys(object).map((path) => [path, orNull(at(object, path, of.path), asText)]));
}

const links = parseLinks([
  {
    ifname: 'eth0',
    link_type: 'ether',
    addr_info: [
      { local: '192.0.2.1', prefixlen: 24, scope: 'global' },
      { local: '2001:db8::1', prefixlen: 64, scope: 'global' },
    ],
  },
]);

const containers = readdirSync(LXC).flatMap((name) => {
  const lxc = parseLxcConfig(join(LXC, name, 'config'), realFiles);
  return lxc === undefined ? [] : [describeContainer(LXC, name, lxc)];
});

const veths = new Map(
  containers.flatMap(({ name, endpoints }) =>
    endpoints.flatMap(({ key, index }): [string, InterfaceName][] => {
      const veth = parseInterfaceName(`veth${name}${index}`);
      return veth === undefined ? [] : [[key, veth]];
    }),
  ),
);

function inputsOf(files: ReadonlyMap<string, string | null>): HostInputs {
  const present = [...files].flatMap(([path, text]): [string, string][] => (text === null ? [] : [[path, text]]));
  return {
    config: defaultConfig,
    loaded: loadPolicies(new Map(present)),
    ...{ containers, links, veths, answers: NO_NAMES },
    lastGood: new Map(),
    now: Date.parse('2026-06-01T00:00:00Z'),
  };
}

/** One after the other on one host, which keeps the last good policy. */
export function assembleBoth({ before, after }: WordsCase): { readonly before: Assembled; readonly after: Assembled } {
  const assembler = createAssembler();
  return { before: assembler.assemble(before), after: assembler.assemble(after) };
}

export const tell = (changes: readonly NicChange[]): string =>
  describeFlows(changes, [])
    .words.map(({ opens, text }) => `${opens ? '+' : '-'} ${text}\n`)
    .join('');
