/** Which chains of iptables' tables are other programs', where routewall's own stand among them. */
import { describe, expect, test } from 'vitest';
import { CommandError, type CommandResult, type Run } from '../../../controller/commands/run.ts';
import { parseChains } from '../../../controller/doctor/foreign-ruleset.ts';
import { parseIptablesSave } from '../../../controller/doctor/iptables-save.ts';
import { judgePacket } from '../../../controller/doctor/judge-packet.ts';
import { readForeignRules } from '../../../controller/doctor/read-foreign.ts';
import { withoutOwn } from '../../../controller/doctor/without-own.ts';

const save = (table: string, chain: string, ...rules: readonly string[]): string =>
  [`*${table}`, ':FORWARD ACCEPT [0:0]', `:${chain} - [0:0]`, ...rules, 'COMMIT', ''].join('\n');

const said = (text: string): string[] => {
  const chains = withoutOwn(parseIptablesSave(text, { family: 'ip', program: 'iptables-legacy' }));
  const drops = judgePacket(chains, 'forward', { family: 4, oifname: 'veth1', protocol: 'tcp', port: 80 });
  return drops.map(({ sure, by }) => `${sure ? 'drops' : 'may drop'} by ${by}`);
};

describe('a chain', () => {
  test.each<[name: string, isOwn: boolean]>([
    ['RW-ANTISPOOF', true],
    ['RW-INPUT', true],
    ['RW-OUTPUT', true],
    ['RW-FORWARD-FROM', true],
    ['RW-FORWARD-TO', true],
    ['RW-GUARD-TO', true],
    ['RW-PANIC-TO', true],
    ['RW-ORPHANS', true],
    ['RW-NEVER', true],
    ['RW-I-DROP', true],
    ['RW-E-REJECT', true],
    ['RW-E-0123456789abcdef', true],
    ['RW-C-vethAbc', true],
    ['RW-R-web0', true],
    ['RW-N-web0', true],
    ['RW-TO', true],
    ['RW-FROM-vethA', true],
    ['RW-theirs', false],
    ['RW-FORWARD', false],
    ['RW-PANIC', false],
    ['RW-DROP', false],
    ['RW-I-dropped', false],
    ['MINE-RW-TO', false],
    ['rw-to', false],
  ])('%s: ours %s', (name, isOwn) => {
    for (const way of ['-j', '-g'])
      expect(said(save('filter', name, `-A FORWARD ${way} ${name}`, `-A ${name} -j DROP`))).toEqual(
        isOwn ? [] : [`drops by rule 1 of chain ${name}`],
      );
  });

  test('of a table that we never write to is theirs by whatever name', () => {
    expect(said(save('mangle', 'RW-TO', '-A FORWARD -j RW-TO', '-A RW-TO -j DROP'))).toEqual([
      'drops by rule 1 of chain RW-TO',
    ]);
  });

  test('of others behind ours keeps the number of its rule, and is as sure', () => {
    const rules = ['-A FORWARD -j RW-FORWARD-FROM', '-A FORWARD -j RW-FORWARD-TO', '-A FORWARD -o veth+ -j DROP'];
    expect(said(save('filter', 'RW-FORWARD-FROM', ...rules))).toEqual(['drops by rule 3 of chain FORWARD']);
  });
});

/** As nft lists what iptables-nft wrote, handles and counters left out. */
const chain = (name: string, base: object = {}, family = 'ip'): object => ({
  chain: { family, table: 'filter', name, ...base },
});
const rule = (name: string, ...expr: readonly object[]): object => ({
  rule: { family: 'ip', table: 'filter', chain: name, expr },
});
const hook = (name: string): object => ({ type: 'filter', hook: name, prio: 0, policy: 'accept' });
const LISTING = {
  nftables: [
    chain('RW-FORWARD-TO'),
    chain('FORWARD', hook('forward')),
    // A base chain is nobody's but its maker's, and so is another family's.
    chain('RW-INPUT', hook('input')),
    chain('RW-TO', {}, 'inet'),
    rule('RW-FORWARD-TO', { xt: { type: 'match', name: 'u32' } }, { drop: null }),
    rule('FORWARD', { jump: { target: 'RW-FORWARD-TO' } }),
    rule('FORWARD', { drop: null }),
  ],
};

test("nft's listing of iptables' rules is read so too", () => {
  expect(withoutOwn(parseChains(LISTING)).map(({ table, name, rules }) => [table, name, rules])).toEqual([
    ['ip filter', 'FORWARD', [[], [{ drop: null }]]],
    ['ip filter', 'RW-INPUT', []],
    ['inet filter', 'RW-TO', []],
  ]);
});

const nftSays = (result: Partial<CommandResult>): { readonly run: Run; readonly asked: string[] } => {
  const asked: string[] = [];
  const run: Run = async (command) => {
    asked.push(command);
    if (command !== 'nft') throw new CommandError(`${command}: not in this test`);
    return { stdout: '', stderr: '', exitCode: 0, ...result };
  };
  return { run, asked };
};

test('what iptables-nft knows better is asked for where others have rules alone', async () => {
  const { run, asked } = nftSays({ stdout: JSON.stringify(LISTING) });
  const { chains, holders } = await readForeignRules(run);
  expect([...holders]).toEqual(['iptables-nft']);
  expect(chains.filter(({ table, program }) => table === 'ip filter' && program === undefined)).toHaveLength(2);
  expect(asked).not.toContain('iptables-nft-save');
});

test('a kernel without nf_tables has none of its rules; any other failure is one', async () => {
  const lacking = 'netlink: Error: cache initialization failed: Protocol not supported\n';
  const { chains } = await readForeignRules(nftSays({ exitCode: 1, stderr: lacking }).run);
  expect(chains.filter(({ program }) => program === undefined)).toEqual([]);
  await expect(readForeignRules(nftSays({ exitCode: 1, stderr: 'Operation not permitted\n' }).run)).rejects.toThrow(
    'nft list ruleset: Operation not permitted',
  );
});
