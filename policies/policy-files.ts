/** Which files of the policy folder mean what, by their names alone. */
import type { FileContent } from './source-text.ts';

/** Every file of the policy folder by its path in there, such as `containers/web.yaml`; other files are ignored. */
export type PolicyFiles = ReadonlyMap<string, FileContent>;

export type PolicyFileKind =
  | { readonly kind: 'container' | 'profile'; readonly name: string; readonly syntax: 'yaml' | 'json' }
  | { readonly kind: 'set'; readonly name: string; readonly syntax: 'yaml' | 'json' | 'txt' }
  | { readonly kind: 'services'; readonly syntax: 'yaml' | 'json' }
  | { readonly kind: 'default'; readonly syntax: 'yaml' | 'json' };

/** `containers/` and the like, as the watcher and the reader need them. */
export const policyFolders = ['containers', 'profiles', 'sets'] as const;
/** The one whose files are the containers' own. */
export const CONTAINERS = policyFolders[0];

const syntaxes: Readonly<Record<string, 'yaml' | 'json' | 'txt'>> = {
  yaml: 'yaml',
  yml: 'yaml',
  json: 'json',
  txt: 'txt',
};

/** `false` for hidden files and for what editors and dpkg leave beside a file (`~`, `.swp`, `.dpkg-new`, `#x#`). */
export const isPolicyFileName = (path: string): boolean => policyFileKind(path) !== undefined;

/** `path` is relative to the policy folder. A container's name may hold dots. */
export function policyFileKind(path: string): PolicyFileKind | undefined {
  const slash = path.indexOf('/');
  const folder = slash < 0 ? '' : path.slice(0, slash);
  const base = path.slice(slash + 1);
  const dot = base.lastIndexOf('.');
  const syntax = Object.hasOwn(syntaxes, base.slice(dot + 1)) ? syntaxes[base.slice(dot + 1)] : undefined;
  if (base.startsWith('.') || base.startsWith('#') || base.includes('/') || dot < 1 || syntax === undefined) {
    return undefined;
  }
  const name = base.slice(0, dot);
  if (folder === 'sets') return { kind: 'set', name, syntax };
  if (syntax === 'txt') return undefined;
  if (folder === 'containers')
    return name === '_default' ? { kind: 'default', syntax } : { kind: 'container', name, syntax };
  if (folder === 'profiles') return { kind: 'profile', name, syntax };
  return folder === '' && name === 'services' ? { kind: 'services', syntax } : undefined;
}

/** As rules and explanations show it: containers' files by their bare name, `profiles/base.yaml` in full. */
export const shownFile = (path: string): string => path.replace(/^containers\//, '');

/** The path in the policy folder again. */
export const policyPath = (shown: string): string => (shown.includes('/') ? shown : `containers/${shown}`);
