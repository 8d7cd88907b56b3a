/** What a policy was compiled from, as texts: enough to compile it again whatever its files say by then. */
import type { CompiledPolicy } from '../../policies/compile-policy.ts';
import { type PolicyFiles, policyFileKind } from '../../policies/policy-files.ts';
import type { FileContent } from '../../policies/source-text.ts';
import { type Prefix, parsePrefix } from '../../render/address.ts';

/** Texts by path in the policy folder, and what the names in them stood for. */
export interface Memento {
  /** Of the container's own file; absent where that is among `files`. */
  readonly own?: readonly [file: string, text: string];
  readonly files: ReadonlyMap<string, string>;
  readonly containers: ReadonlyMap<string, readonly Prefix[]>;
  readonly groups: ReadonlyMap<string, readonly Prefix[]>;
}

/** With its own first. */
export const filesOf = ({ own, files }: Memento): ReadonlyMap<string, string> =>
  own === undefined ? files : new Map([own, ...files]);

/** For policies that were compiled from the same files, of which those that looked up the same share all but their own file. */
export function createMementos(files: PolicyFiles): (compiled: CompiledPolicy) => Memento {
  const services = [...files.keys()].filter((file) => policyFileKind(file)?.kind === 'services');
  const textOf = (file: string): string => decode(files.get(file));
  const known = new Map<CompiledPolicy['lookups'], Memento>();
  const describe = (lookups: CompiledPolicy['lookups']): Memento => {
    const used = new Map<string, string>();
    const named = { container: new Map<string, readonly Prefix[]>(), group: new Map<string, readonly Prefix[]>() };
    for (const lookup of lookups) {
      const { kind, name, answer } = lookup;
      if (kind === 'container' || kind === 'group') {
        if (isPrefixes(answer)) named[kind].set(name, answer);
      } else if (kind === 'services') for (const file of services) used.set(file, textOf(file));
      else if (typeof answer === 'object' && 'file' in answer && answer.file !== undefined)
        used.set(answer.file, textOf(answer.file));
    }
    return { files: used, containers: named.container, groups: named.group };
  };
  return ({ file, lookups }) => {
    const used = known.get(lookups) ?? describe(lookups);
    known.set(lookups, used);
    return file === null ? used : { ...used, own: [file, textOf(file)] };
  };
}

const isPrefixes = (answer: CompiledPolicy['lookups'][number]['answer']): answer is readonly Prefix[] =>
  Array.isArray(answer);

function decode(content: FileContent | undefined): string {
  if (content === undefined || content instanceof Error) return '';
  return typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
}

export const renderMemento = (memento: Memento): string =>
  JSON.stringify({
    files: Object.fromEntries(filesOf(memento)),
    containers: Object.fromEntries(memento.containers),
    groups: Object.fromEntries(memento.groups),
  });

export function parseMemento(text: string): Memento | undefined {
  try {
    return mementoFrom(JSON.parse(text));
  } catch {
    // A record that isn't ours, or was damaged: as good as none, and the container stays shut.
    return undefined;
  }
}

export function mementoFrom(json: unknown): Memento {
  const entries = (key: string): [string, unknown][] => {
    const part: unknown = typeof json === 'object' && json !== null ? Reflect.get(json, key) : undefined;
    return typeof part === 'object' && part !== null ? Object.entries(part) : [];
  };
  const prefixes = (key: string) => new Map(entries(key).map(([name, list]) => [name, parsePrefixes(list)]));
  const files = entries('files').flatMap(([file, content]): [string, string][] =>
    typeof content === 'string' ? [[file, content]] : [],
  );
  return { files: new Map(files), containers: prefixes('containers'), groups: prefixes('groups') };
}

const parsePrefixes = (list: unknown): Prefix[] =>
  Array.isArray(list) ? list.flatMap((text) => (typeof text === 'string' ? (parsePrefix(text) ?? []) : [])) : [];
