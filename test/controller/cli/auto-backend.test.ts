/** `backend: auto` on a kernel without nf_tables: what iptables can't do is said as where it is configured. */
import { afterEach, beforeEach, expect, it, test } from 'vitest';
import { servedBackend } from '../../../controller/apply/choose-backend.ts';
import type { CommandResult, Run } from '../../../controller/commands/run.ts';
import { type CliBed, createFarm, LINKS } from './cli-bed.ts';

let bed: CliBed;
beforeEach(() => {
  bed = createFarm();
  bed.write('routewall.yaml', '');
});
afterEach(() => bed.remove());

const said = (part: Partial<CommandResult>): Promise<CommandResult> =>
  Promise.resolve({ stdout: '', stderr: '', exitCode: 0, ...part });

/** `nft list chains` of nft 1.0.6 and what iptables-legacy 1.8.9 answers there; `lacks`: a program that isn't installed. */
const withoutNfTables =
  (lacks?: string): Run =>
  (command, args) => {
    if (command === lacks) return Promise.reject(new Error(`${command}: not found`));
    if (command === 'nft') {
      const stderr = 'netlink: Error: cache initialization failed: Protocol not supported\n';
      return said({ stderr, exitCode: 1 });
    }
    if (command === 'ip') return said({ stdout: JSON.stringify(args.includes('link') ? LINKS : []) });
    // None of its links needs an address here.
    if (command === 'perl') return said({});
    return said({ stdout: `${command} v1.8.9 (legacy)\n` });
  };

const live = (words: string, run: Run) =>
  bed.cli(`${words} --config routewall.yaml --policies pol -P lxc`, {
    run,
    env: { RUNTIME_DIRECTORY: `${bed.folder}/run`, STATE_DIRECTORY: `${bed.folder}/state` },
  });

test('check names the lines that ask for what iptables can not do, and a bridged NIC', async () => {
  bed.write('pol/containers/db.yaml', 'masquerade: true\npublish: [{ tcp: 8080, to: 80 }]\nuplink: eth0\n');
  const { out, exitCode } = await live('check', withoutNfTables());
  expect(out).toMatch(/pol\/containers\/db.yaml:1:1: error: masquerade needs nftables, and the backend is iptables/);
  expect(out).toMatch(/lxc\/web\/config:1:1: error: NIC 1 hangs on a bridge/);
  expect(exitCode).toBe(1);
});

it.each(['denials', 'learn -n web'])('%s says that nobody records', async (words) => {
  expect(await live(words, withoutNfTables())).toMatchObject({
    exitCode: 3,
    out: '',
    err: expect.stringContaining('where iptables is the backend nobody records'),
  });
});

test('where iptables is not installed either, nothing is said of it', async () => {
  const { out } = await live('check', withoutNfTables('iptables-legacy-restore'));
  expect(out).not.toContain('backend is iptables');
});

test('what stands in for the host has no kernel that could be asked', async () => {
  const { out } = await bed.rw('check', { run: withoutNfTables() });
  expect(out).not.toContain('backend is iptables');
});

test('who may not ask the kernel learns nothing about it', async () => {
  const forbidden: Run = (command) =>
    command === 'nft' ? said({ stderr: 'Operation not permitted (you must be root)\n', exitCode: 1 }) : said({});
  expect(await servedBackend(forbidden, 'auto')).toBe('nftables');
  expect(await servedBackend(withoutNfTables(), 'auto')).toBe('iptables');
  expect(await servedBackend(withoutNfTables(), 'nftables')).toBe('nftables');
});
