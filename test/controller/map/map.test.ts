/** `routewall map`: says what explain says, stays readable, and no name becomes markup. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { catalogueTable } from '../../../policies/service-table.ts';
import { type CliBed, createFarm, LINKS, lxcConfig } from '../cli/cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
});
afterEach(() => bed.remove());

interface JsonMap {
  readonly nodes: readonly { readonly id: string; readonly kind: string; readonly members: readonly string[] }[];
  readonly edges: readonly { from: string; to: string; services: readonly string[]; some: boolean }[];
}

const mapOf = async (words = ''): Promise<JsonMap> => JSON.parse((await bed.rw(`map --json ${words}`)).out);

describe('map', () => {
  test('is a table of who reaches whom with what, and of what is closed', async () => {
    const { out, exitCode } = await bed.rw('map');
    expect(exitCode).toBe(0);
    expect(out).toBe(`FROM       TO         SERVICES
tinderbox  db         tcp/5432
           host       rsync, squid
host       tinderbox  icmp/echo-request (IPv6)
           web        http, https, ssh
lan        tinderbox  icmp/echo-request
           web        http, https
internet   web        http, https

stray  closed: no valid policy
`);
  });

  test.each([
    'tcp/22',
    'tcp/25',
    'tcp/80',
    'tcp/443',
    'tcp/873',
    'tcp/5432',
    'udp/53',
    'icmp/echo-request',
    'proto/47',
  ])('has %s exactly where explain allows it, in either family', async (service) => {
    bed.write('pol/containers/stray.yaml', STRAY);
    const { edges } = await mapOf('-n tinderbox -n web -n db -n stray');
    const ends = ['container:tinderbox', 'container:web', 'container:db', 'container:stray', 'host', OUTSIDE];
    for (const from of ends) {
      for (const to of ends) {
        if (from === to || !`${from}${to}`.includes('container:')) continue;
        const ask = `explain --from ${from} --to ${to} ${service}`;
        const four = (await bed.rw(`${ask} -4`)).exitCode === 0;
        const six = (await bed.rw(ask.replaceAll(OUTSIDE, '2001:2::77').concat(' -6'))).exitCode === 0;
        const node = (end: string) => (end === OUTSIDE ? 'internet' : end);
        const edge = edges.find((each) => each.from === node(from) && each.to === node(to));
        const says = (family: 4 | 6) => (edge?.services ?? []).some((word) => covers(word, service, family));
        expect([says(4), says(6)], `${from} to ${to}`).toEqual([four, six]);
      }
    }
  });
});

const OUTSIDE = '198.18.7.7';

const STRAY = `egress:
  default: allow
  rules:
    - drop: tcp/25
      to: any
    - drop: [tcp/80-90, udp/53]
      to: [internet, container:web]
    - reject: icmp
      to: 0.0.0.0/0
ingress:
  rules:
    - allow: [tcp/20-30, dns]
      from: [internet, host]
    - allow: proto/47
      from: "::/0"
`;

/** Whether a word of the map holds the service. */
function covers(word: string, service: string, family: 4 | 6): boolean {
  const only = / \(IPv([46])\)$/.exec(word)?.[1];
  if (only !== undefined && only !== String(family)) return false;
  const plain = word.replace(/ \(IPv[46]\)$/, '');
  if (plain === 'any') return true;
  if (plain.startsWith('any but ')) return !wordsOf(plain.slice(8)).some((each) => covers(each, service, family));
  if (['tcp', 'udp', 'sctp', 'icmp'].includes(plain)) return service.startsWith(plain);
  if (plain === 'other protocols') return service.startsWith('proto/');
  const [asked] = matchesOf(service);
  return matchesOf(plain).some((match) => {
    if (match.kind === 'protocol' && asked?.kind === 'protocol') return match.protocol === asked.protocol;
    if (match.kind === 'icmp' && asked?.kind === 'icmp') return match.type === asked.type;
    if (match.kind !== 'ports' || asked?.kind !== 'ports' || match.protocol !== asked.protocol) return false;
    const port = asked.ports[0]?.first ?? 0;
    return match.ports.some(({ first, last }) => port >= first && port <= last);
  });
}

const wordsOf = (text: string): string[] => text.split(', ');

function matchesOf(word: string) {
  if (/^proto\/[\d,-]+$/.test(word) && /[,-]/.test(word)) {
    return word
      .slice(6)
      .split(',')
      .flatMap((part) => {
        const [first = 0, last = first] = part.split('-').map(Number);
        return Array.from(
          { length: last - first + 1 },
          (_, step) => ({ kind: 'protocol', protocol: first + step }) as const,
        );
      });
  }
  const resolved = catalogueTable.resolve(word);
  return 'matches' in resolved ? resolved.matches : [];
}

describe('a map of many', () => {
  const many = (count: number, policy: (index: number) => string): void => {
    const containers: Record<string, unknown> = {};
    for (let index = 0; index < count; index++) {
      const name = `c${String(index).padStart(3, '0')}`;
      bed.write(`lxc/${name}/config`, lxcConfig(100 + index).replace('farm', index % 2 === 0 ? 'even' : 'odd'));
      bed.write(`pol/containers/${name}.yaml`, policy(index));
      containers[name] = { state: index % 3 === 0 ? 'RUNNING' : 'STOPPED' };
    }
    bed.write('state.json', JSON.stringify({ containers, links: LINKS }));
  };
  const allow = (service: string) => `ingress:\n  rules:\n    - allow: ${service}\n      from: any\n`;

  test('is one node for containers that nothing tells apart, and says so of those that may reach each other', async () => {
    many(100, () => `egress:\n  rules:\n    - allow: ssh\n      to: group:odd\n${allow('ssh')}`);
    const { nodes, edges } = await mapOf();
    expect(nodes.filter(({ members }) => members.length === 50).map(({ members }) => members[1])).toEqual([
      'c002',
      'c003',
    ]);
    const odd = nodes.find(({ members }) => members.includes('c001'))?.id;
    expect(edges).toContainEqual({ from: odd, to: odd, services: ['ssh'], some: false });
    expect((await bed.rw('map')).out).toMatch(/^group odd \(50\) +each other +ssh$/m);
  });

  test('keeps a container apart that is asked for', async () => {
    many(100, () => allow('ssh'));
    const { nodes } = await mapOf('-n c007');
    expect(nodes.map(({ id }) => id)).toContain('container:c007');
    expect(nodes.filter(({ kind }) => kind === 'containers')).toHaveLength(1);
  });

  test('folds groups where policies differ too much for a picture, and says that an edge is of some only', async () => {
    many(100, (index) => allow(`tcp/${1000 + (index % 60)}`));
    const { nodes, edges } = await mapOf();
    expect(nodes.map(({ id }) => id)).toEqual(expect.arrayContaining(['group:even', 'group:odd', 'group:farm']));
    const edge = edges.find(({ from, to }) => from === 'internet' && to === 'group:odd');
    expect(edge).toMatchObject({ some: true });
    expect(edge?.services).toHaveLength(30);
    expect((await bed.rw('map --format dot')).out).toContain('22 more');
  });

  test('shows the exception within a peer, also where it is nothing', async () => {
    many(
      1,
      () =>
        `egress:\n  default: allow\n  rules:\n    - drop: any\n      to: 203.0.113.0/28\n    - drop: smtp\n      to: 203.0.113.99\n`,
    );
    const { out } = await bed.rw('map -n c000');
    expect(out).toMatch(/ 203.0.113.0\/28 +nothing$/m);
    expect(out).toMatch(/ 203.0.113.99 +any but smtp$/m);
    expect(out).toMatch(/ internet +any$| host, lan, internet +any$/m);
  });
});

describe('a picture', () => {
  const NAMES = [
    '"><script>alert(1)<script>',
    '&lt;b&gt;&#10;',
    "a'b\\",
    'two\nlines\u001b[31m',
    '\u202etxt',
    'x" ]; n -> m; "',
  ];

  test.each(['dot', 'svg', 'table'])('as %s is the same whatever the order of reading', async (format) => {
    const first = (await bed.rw(`map --format ${format}`)).out;
    const containers = { web: { veths: { eth0: 'vethA' } }, tinderbox: { veths: { eth0: 'vethB' } } };
    bed.write('state.json', JSON.stringify({ links: LINKS, containers }));
    expect((await bed.rw(`map --format ${format}`)).out).toBe(first);
  });

  test('shows a closed container as closed, and everything else by its label', async () => {
    const { out } = await bed.rw('map --format svg');
    expect(out).toMatch(/class="node closed">(?:.|\n)*?>stray<\/text>(?:.|\n)*?>closed: no valid policy<\/text>/);
    for (const label of ['tinderbox', 'web', 'db', 'host', 'internet', 'rsync, squid'])
      expect(out).toContain(`>${label}</text>`);
    expect(out).toContain('prefers-color-scheme: dark');
  });

  test('goes to a file', async () => {
    expect(await bed.rw('map --format svg -o map.svg')).toMatchObject({ exitCode: 0, out: '' });
    expect((await bed.rw('map --format svg')).out).toMatch(/^<\?xml /);
  });

  test('holds no markup but its own, whatever containers are called', async () => {
    for (const [index, name] of NAMES.entries()) {
      bed.write(`lxc/${name}/config`, lxcConfig(50 + index).replace('farm', name.replaceAll('\n', ' ')));
      bed.write(`pol/containers/${name}.yaml`, `egress:\n  rules:\n    - allow: tcp/${index + 1}\n      to: any\n`);
    }
    const { out: svg } = await bed.rw('map --format svg');
    const tags = new Set([...svg.matchAll(/<\/?([^\s>]+)/g)].map((match) => match[1]));
    const ours = ['?xml', '!DOCTYPE', '!--', 'svg', 'style', 'g', 'title', 'polygon', 'path', 'ellipse', 'text', 'a'];
    expect([...tags].filter((tag) => !ours.includes(tag ?? ''))).toEqual([]);
    expect(svg).not.toMatch(/<[^>]*\s(?:on\w+|xlink:href|href)=/);
    expect(svg).toContain('&lt;script&gt;alert(1)&lt;script&gt;');
    const { out: dot } = await bed.rw('map --format dot');
    // Every statement stays on its line, and no name ends its string.
    const shapes = /^(?: {2,4}[clr]\d+ (?:-> [clr]\d+ )?\[(?:\w+=(?:"(?:[^"\\]|\\.)*"|\w+)(?:, )?)+\];|.*)$/;
    const statements = dot.split('\n').filter((line) => /^ {2,4}[clr]\d+ /.test(line));
    expect(statements.length).toBeGreaterThan(NAMES.length * 2);
    for (const line of statements) expect(line).toMatch(shapes);
    const { out: table } = await bed.rw('map');
    for (const sign of ['\u001b', '\u202e']) expect(table).not.toContain(sign);
    expect(table).toContain('two?lines?[31m');
  });
});
