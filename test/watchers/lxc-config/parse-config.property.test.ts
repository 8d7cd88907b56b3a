import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONFIG, parseText, withoutPlaces } from './memory-files.ts';

const NIC_LINES = [
  'type = veth',
  'type = macvlan',
  'link = br0',
  'name = eth0',
  'flags = up',
  'veth.pair = vethX',
  'veth.mode = router',
  'ipv4.address = 192.0.2.1/24',
  'ipv4.address = 192.0.2.2',
  'ipv4.address =',
  'ipv6.address = 2001:db8::1',
  'ipv4.gateway = auto',
  'ipv4.gateway = dev',
  'ipv6.gateway = fe80::1',
  'veth.ipv4.route = 198.51.100.0/24',
  'l2proxy = 1',
  'bogus = 1',
];
const OTHER_LINES = [
  'lxc.tty.max = 4',
  'lxc.rootfs.path = dir:/x',
  '# comment',
  '',
  'lxc.cap.drop = sys_time',
  'other',
];

const nicLines = (index: number) =>
  fc
    .array(fc.constantFrom(...NIC_LINES), { maxLength: 12 })
    .map((lines) => lines.map((line) => `lxc.net.${index}.${line}`));
const groupLines = fc.array(fc.constantFrom('lxc.group = a', 'lxc.group = b c', 'lxc.group ='), { maxLength: 4 });
const otherLines = fc.array(fc.constantFrom(...OTHER_LINES), { maxLength: 6 });
const anyLines = fc.tuple(nicLines(0), nicLines(1), groupLines, otherLines).map((parts) => parts.flat());

/** Two shuffles of the parts, each of which keeps its own order. */
const twoOrders = fc
  .tuple(nicLines(0), nicLines(3), groupLines, otherLines)
  .chain((parts) => fc.tuple(merged(parts), merged(parts)));

function merged(parts: readonly (readonly string[])[]): fc.Arbitrary<string[]> {
  const turns = parts.flatMap((part, which) => part.map(() => which));
  return fc.shuffledSubarray(turns, { minLength: turns.length, maxLength: turns.length }).map((order) => {
    const queues = parts.map((part) => [...part]);
    return order.flatMap((which) => queues[which]?.shift() ?? []);
  });
}

/** What a person would call the same configuration; problems come in the order of the lines. */
const meaning = (text: string) => {
  const { nics, groups, loadable, readable } = parseText(text);
  return withoutPlaces({ file: CONFIG, files: [], problems: [], nics, groups, loadable, readable });
};

describe('the configuration parser', () => {
  it('never throws, whatever the bytes', () => {
    const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array).toString('utf8'));
    const lxcish = fc.array(fc.oneof(bytes, fc.string({ unit: 'binary' }), fc.constantFrom(...NIC_LINES)), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(
        lxcish,
        fc.constantFrom('\n', '\r', '\0', ' ', '\nlxc.', '\nlxc.net.0.', '\nlxc.network.'),
        (parts, glue) => {
          const config = parseText(glue + parts.join(glue));
          expect(config.loadable).toBe(config.problems.every(({ severity }) => severity === 'warning'));
        },
      ),
    );
  });

  it('tells only addresses that the kernel would take, and places that exist', () => {
    fc.assert(
      fc.property(anyLines, (lines) => {
        const config = parseText(lines.join('\n'));
        for (const nic of config.nics) {
          for (const { text } of nic.ipv4Addresses) expect(isIP(text)).toBe(4);
          for (const { text } of nic.ipv6Addresses) expect(isIP(text)).toBe(6);
          expect(lines[nic.place.line - 1]).toContain(`lxc.net.${nic.index}.`);
        }
        for (const { line } of config.problems) expect(lines[line - 1]).toMatch(/^lxc\./);
      }),
    );
  });

  it('minds the order within a NIC or a list only', () => {
    fc.assert(
      fc.property(twoOrders, ([one, other]) => {
        expect(meaning(one.join('\n'))).toEqual(meaning(other.join('\n')));
      }),
    );
  });

  it('reads every kind of line end alike', () => {
    fc.assert(
      fc.property(anyLines, fc.constantFrom('\r\n', '\r', '\n\n', '\n \t\n# x\n'), (lines, end) => {
        expect(withoutPlaces(parseText(lines.join(end)))).toEqual(withoutPlaces(parseText(lines.join('\n'))));
      }),
    );
  });

  it('reads lines moved to an included file as if they had stayed', () => {
    fc.assert(
      fc.property(anyLines, fc.nat(40), fc.nat(40), (lines, from, count) => {
        const start = Math.min(from, lines.length);
        const moved = lines.slice(start, start + count);
        const rest = [...lines.slice(0, start), 'lxc.include = /moved', ...lines.slice(start + count)];
        const config = parseText(rest.join('\n'), { '/moved': moved.join('\n') });
        expect(withoutPlaces(config)).toEqual(withoutPlaces(parseText(lines.join('\n'))));
      }),
    );
  });

  it('takes blanks, tabs and one pair of quotes for nothing', () => {
    const blanks = fc.constantFrom('', ' ', '\t ', '   ');
    fc.assert(
      fc.property(anyLines, blanks, blanks, fc.constantFrom('', '"', "'"), (lines, before, after, quote) => {
        const dressed = lines.map((line) =>
          line.startsWith('lxc.')
            ? line.replace(/^(\S+) = ?(.*)$/, `${before}$1${after}=${before}${quote}$2${quote}${after}`)
            : line,
        );
        expect(withoutPlaces(parseText(dressed.join('\n')))).toEqual(withoutPlaces(parseText(lines.join('\n'))));
      }),
    );
  });

  it.each([
    ['a value', `lxc.uts.name = ${'x'.repeat(2_000_000)}`],
    ['a key', `lxc.${'x'.repeat(2_000_000)} = 1`],
    ['a NIC key', `lxc.net.0.${'x'.repeat(2_000_000)} = 1`],
    ['an index', `lxc.net.${'9'.repeat(2_000_000)}.type = veth`],
    ['a legacy key', `lxc.network.${'9'.repeat(2_000_000)}.type = veth`],
    ['blanks', `lxc.prlimit.x = 1${' '.repeat(2_000_000)}x`],
    ['digits', `lxc.start.order = ${'1'.repeat(2_000_000)}x`],
    ['an address', `lxc.net.0.ipv6.address = ${':1'.repeat(1_000_000)}`],
    ['groups', `lxc.group = ${'g '.repeat(1_000_000)}`],
    ['words', `lxc.cap.drop = ${'chown\t '.repeat(300_000)}!`],
    ['an unended map', `lxc.idmap = u ${' 1'.repeat(1_000_000)}`],
    ['a comment', `#${'x'.repeat(2_000_000)}`],
    ['line ends', '\r'.repeat(2_000_000)],
    ['NUL bytes', '\0'.repeat(2_000_000)],
    ['legacy NICs', 'lxc.network.type = veth\n'.repeat(50_000)],
  ])('gets through megabytes of %s', (_what, text) => {
    expect(parseText(text).file).toBe(CONFIG);
  });
});
