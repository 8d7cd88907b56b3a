// Runs every bench in turn and writes bench/results.md with what they told, and the curves beside it. Needs root, and gcc
// for the packets' sender. `npm run bench [-- --quick]`
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const quick = process.argv.includes('--quick');
// Each with the arguments of a full run and those of one that only shows that it runs.
const benches = [
  { name: 'packet-rate', full: ['40'], quick: ['3'] },
  { name: 'commit', full: [], quick: [] },
  { name: 'event-time', full: ['0,1000,10000', '40'], quick: ['0,100', '3'] },
  { name: 'hook-time', full: ['40'], quick: ['3'] },
  { name: 'storm', full: ['1000', '200', '100000', '5'], quick: ['100', '4', '1000', '1'] },
  { name: 'heal-time', full: ['0,1000', '20'], quick: ['0', '2'] },
  { name: 'memory', full: ['0,1000,10000', '600'], quick: ['0', '2'] },
  { name: 'scale', full: ['0,1000,10000', '8640'], quick: ['0,100', '10'] },
];

const folder = mkdtempSync(join('.cache', 'bench-'));
for (const { name, ...args } of benches) {
  const words = quick ? args.quick : args.full;
  console.log(`\nbench: ${name} ${words.join(' ')}`);
  const run = spawnSync(process.execPath, ['scripts/bench.mjs', name, ...words], {
    stdio: 'inherit',
    env: { ...process.env, BENCH_REPORTS: folder },
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

const outfile = join(folder, 'curves.mjs');
await build({ entryPoints: ['bench/curves.ts'], outfile, bundle: true, platform: 'node', format: 'esm' });
const { drawCurves } = await import(join(process.cwd(), outfile));
const version = (command, ...args) => spawnSync(command, args, { encoding: 'utf8' }).stdout.trim().split('\n')[0];

const sections = benches
  .map(({ name }) => name)
  .concat(readdirSync(folder).map((file) => file.replace(/[.]json$/, '')))
  .filter((name, index, all) => all.indexOf(name) === index && readdirSync(folder).includes(`${name}.json`))
  .map((name) => {
    const {
      title,
      about,
      command,
      columns,
      rows,
      curves = [],
    } = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
    const row = (cells) => `| ${cells.join(' | ')} |`;
    const table = [row(columns), row(columns.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(row)];
    const pictures = curves.map((each) => {
      writeFileSync(join(quick ? folder : 'bench', `${each.name}.svg`), drawCurves(each));
      return `![${each.title}](${each.name}.svg)`;
    });
    return [`## ${title}`, about, `\`${command}\``, table.join('\n'), ...pictures].join('\n\n');
  });

const machine = [
  `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}`,
  `Node ${process.version}, ${version('nft', '--version')}, ${version('ip', '-V')}, LXC ${version('lxc-info', '--version')}`,
];
const head = `# Results\n\nWritten by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}. What is measured, and what was tried: [README.md](README.md).\n\n${machine.join('  \n')}\n`;
writeFileSync(quick ? join(folder, 'results.md') : 'bench/results.md', `${head}\n${sections.join('\n\n')}\n`);
console.log(quick ? readFileSync(join(folder, 'results.md'), 'utf8') : '\nbench: wrote bench/results.md');
rmSync(folder, { recursive: true, force: true });
