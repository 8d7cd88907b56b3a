/** Files by which other programs set the kernel's network up: sysctl.d, and systemd-networkd's; pure. */

export interface Setting {
  readonly file: string;
  readonly line: number;
  /** As it stands there. */
  readonly text: string;
  readonly value: string;
  /** Who reads it. */
  readonly by: string;
  /** Whether it is about that key below /proc/sys. */
  readonly matches: (key: string) => boolean;
  /** The line that would be right, by the value that is needed. */
  readonly mend: (value: string) => string;
}

export interface SettingFile {
  readonly path: string;
  readonly text: string;
}

/** In the order in which systemd-sysctl applies them: by their names, whatever folder they are in; see sysctl.d(5). */
export function parseSysctlFiles(files: readonly SettingFile[]): Setting[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index): Setting[] => {
      const [, key = '', value] = /^\s*-?([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (value === undefined) return [];
      return [
        {
          ...{ file: path, line: index + 1, text: line.trim(), value, by: 'sysctl' },
          matches: matcherOf(key),
          mend: (wanted) => `${key} = ${wanted} (${path}:${index + 1})`,
        },
      ];
    }),
  );
}

/** Dots or slashes, whichever comes first, part the words; the other one is then part of a word. `*` stands for one word. */
function matcherOf(key: string): (key: string) => boolean {
  const isDotted = /^[^/]*\./.test(key);
  const slashed = isDotted ? key.replace(/[./]/g, (sign) => (sign === '.' ? '/' : '.')) : key;
  const pattern = slashed
    .split('/')
    .map((word) =>
      word
        .split('*')
        .map((part) => part.replace(/[\\^$+?.()|[\]{}]/g, '\\$&'))
        .join('[^/]*'),
    )
    .join('/');
  const expression = new RegExp(`^${pattern}$`);
  return (asked) => expression.test(asked);
}

const NO = /^(0|no|n|false|f|off)$/i;

/** Of .network files: which settings of forwarding a link gets. Without a match of a name it is about all links. */
export function parseNetworkFiles(files: readonly SettingFile[]): Setting[] {
  return files.flatMap(({ path, text }) => {
    let section = '';
    let names: readonly string[] = ['*'];
    return text.split('\n').flatMap((line, index): Setting[] => {
      section = /^\s*\[(.*)\]\s*$/.exec(line)?.[1] ?? section;
      const [, key = '', value = ''] = /^\s*([A-Za-z0-9]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (section === 'Match' && key === 'Name') names = value.split(/\s+/);
      const families = section === 'Network' ? switchedOff(key, value) : [];
      return families.map((family) => ({
        ...{ file: path, line: index + 1, text: line.trim(), value: '0', by: 'systemd-networkd' },
        matches: (asked) => {
          const [, of, link = ''] = /^net\/(ipv[46])\/conf\/([^/]+)\/forwarding$/.exec(asked) ?? [];
          // It switches IPv6 for all links, as the kernel does.
          return of === family && (link === 'all' || names.some((name) => isMatch(name, link)));
        },
        mend: () =>
          `${family === 'ipv4' ? 'IPv4' : 'IPv6'}Forwarding=yes, or IPForward=yes before systemd 256 (${path}:${index + 1})`,
      }));
    });
  });
}

function switchedOff(key: string, value: string): ('ipv4' | 'ipv6')[] {
  if (key === 'IPForward') {
    if (NO.test(value)) return ['ipv4', 'ipv6'];
    return value === 'ipv4' ? ['ipv6'] : value === 'ipv6' ? ['ipv4'] : [];
  }
  if (key === 'IPv4Forwarding') return NO.test(value) ? ['ipv4'] : [];
  return key === 'IPv6Forwarding' && NO.test(value) ? ['ipv6'] : [];
}

const isMatch = (pattern: string, name: string): boolean =>
  new RegExp(
    `^${pattern
      .replace(/[\\^$+.()|[\]{}]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')}$`,
  ).test(name);
