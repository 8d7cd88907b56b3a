/** A long list is parsed piece by piece, and is what it is parsed at once, wherever it is cut. */
import { expect, it } from 'vitest';
import type { CommandResult } from '../../../controller/commands/run.ts';
import { readJson, readJsonOf } from '../../../controller/kernel/ip-json.ts';

/** How often others had a turn is told too. */
async function parse(stdout: string): Promise<{ value: unknown; turns: number }> {
  let turns = 0;
  const answer: CommandResult = { stdout, stderr: '', exitCode: 0 };
  const turn = async (): Promise<void> => void turns++;
  return { value: await readJson(async () => answer, ['address', 'show'], turn), turns };
}

const few = <T>(item: T): T[] => Array.from({ length: 20 }, () => item);

const many = <T>(make: (index: number) => T): T[] => Array.from({ length: 10_000 }, (_, index) => make(index));

it.each([
  ['links', many((index) => ({ ifindex: index, ifname: `veth${index}`, addr_info: [{ local: '192.0.2.1' }] }))],
  ['what has the same inside', many((index) => ({ ifindex: index, of: few({ ifindex: 1 }), more: [] }))],
  ['nothing but what has the same inside', [{ ifindex: 1, of: many(() => ({ ifindex: 2, name: 'veth0' })) }]],
  [
    'a name that looks like a border',
    many((index) => ({ ifindex: index, ifalias: '},{"ifindex":1},{"', more: '\\"' })),
  ],
  [
    'what is empty in between',
    many((index) => (index % 2 === 0 ? { dst: '192.0.2.1', dev: 'a-long-name', flags: ['a-long-word'] } : {})),
  ],
])('%s', async (_what, list) => {
  const { value, turns } = await parse(`${JSON.stringify(list)}\n`);
  expect(value).toEqual(list);
  if (list.length > 1) expect(turns).toBeGreaterThan(1);
});

it.each(['[]', '{"a":1}', '[{}]', '[1,2]', '[{"a":1}]'])('%s', async (text) => {
  expect((await parse(text)).value).toEqual(JSON.parse(text));
});

it.each(['[{"a":1}', '[{"a":1}] x', `${JSON.stringify(many((index) => ({ index }))).slice(0, -1)},`])(
  'refuses what is no JSON',
  async (text) => {
    await expect(parse(text)).rejects.toThrow('no JSON');
  },
);

const failing = (stderr: string) => async (): Promise<CommandResult> => ({ stdout: '', stderr, exitCode: 1 });

it.each([
  'Device "veth0" does not exist.',
  'RTNETLINK answers: No such device\nCannot send link get request: No such device',
])('knows no link where ip says: %s', async (stderr) => {
  expect(await readJsonOf(failing(stderr), ['link', 'show'], 'veth0')).toEqual([]);
});

it('cannot tell of a link where ip fails otherwise', async () => {
  const run = failing('Cannot open netlink socket: Too many open files');
  await expect(readJsonOf(run, ['link', 'show'], 'veth0')).rejects.toThrow('Too many open files');
});
