/** What was meant by a value of another type than its key has. */
import type { Path } from './places.ts';

interface Mistyped {
  readonly data: unknown;
  /** Of the schema; the first is what is asked for. */
  readonly types: readonly string[];
  readonly path: Path;
  /** It names a service of a rule. */
  readonly isService: boolean;
}

/** Behind "… must be …, not …"; empty where nobody can tell. */
export function typeHint({ data, types, path, isService }: Mistyped): string {
  const key = path.findLast((step) => !/^\d+$/.test(String(step)));
  if (typeof data === 'string') return textHint(data, types, key);
  if (typeof data === 'number') return types.includes('string') ? numberHint(data, path, key, isService) : '';
  if (Array.isArray(data) && (key === 'egress' || key === 'ingress')) return ': its rules stand below "rules:"';
  if (typeof data !== 'object') return '';
  if (types[0] === 'array' && !types.includes('string')) return ': each item begins with "- "';
  return endsInColon(data) ? ': put quotes around a text that ends in ":"' : '';
}

function textHint(data: string, types: readonly string[], key: unknown): string {
  const [type] = types;
  if (type === 'boolean' && /^(yes|on|y)$/i.test(data)) return ': did you mean true?';
  if (type === 'boolean' && /^(no|off|n)$/i.test(data)) return ': did you mean false?';
  const seconds = type === 'integer' ? /^(\d+) ?s(?:ec(?:onds?)?)?$/.exec(data)?.[1] : undefined;
  if (seconds !== undefined) return `: did you mean ${seconds}?`;
  const publication = key === 'publish' ? publicationOf(data) : undefined;
  if (type === 'object') return publication === undefined ? '' : `: did you mean ${publication}?`;
  if (type === 'array' && publication !== undefined) return `: did you mean [${publication}]?`;
  return type === 'array' && LISTS.includes(String(key)) ? `: did you mean ${listOf(data)}?` : '';
}

/** Keys whose lists are of plain words. */
const LISTS = ['lxcPaths', 'guard', 'tables', 'servers', 'accept'];

/** `a, b` as YAML's list. */
export const listOf = (text: string): string =>
  `[${text
    .split(/\s*,\s*|\s+/)
    .filter((word) => word !== '')
    .join(', ')}]`;

/** As other programs write it: `8080:80`, `192.0.2.1:53:5353/udp`, `tcp/8080`. */
function publicationOf(text: string): string | undefined {
  const [, on, port, to, after] = /^(?:(\d+(?:[.]\d+){3}):)?(\d+)(?::(\d+))?(?:\/(tcp|udp|sctp))?$/.exec(text) ?? [];
  const [, before, alone] = /^(tcp|udp|sctp)[/:](\d+)$/.exec(text) ?? [];
  if (port === undefined && alone === undefined) return undefined;
  const rest = [to === undefined ? [] : `to: ${to}`, on === undefined ? [] : `on: ${on}`].flat();
  return `{ ${[`${before ?? after ?? 'tcp'}: ${alone ?? port}`, ...rest].join(', ')} }`;
}

function numberHint(data: number, path: Path, key: unknown, isService: boolean): string {
  if (path[0] === 'limits' || path.at(-2) === 'limits') return `: with a unit, such as ${data}mbit`;
  if (key === 'limit' || key === 'rate') return `: with a unit, such as ${data}/second`;
  if (key === 'listen') return `: such as "127.0.0.1:${data}"`;
  return isService ? `: did you mean "tcp/${data}"?` : ': put quotes around it';
}

/** YAML takes the unquoted `2001:db8::` of a list for a mapping with a key and no value. */
const endsInColon = (data: object | null): boolean =>
  data !== null && Object.values(data).every((value) => value === null);
