// Runs every bench in turn, or those named, and writes bench/results.md with what they told, and the curves beside it. The
// page is written anew after each, so that one which fails, or an end in the middle, loses nothing of the others.
// Needs root, and gcc for the packets' sender. `npm run bench [-- --quick] [-- NAME…]`
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

// Each with the arguments of a full run and those of one that only shows that it runs, and the minutes after which a full
// one hangs: well over what it takes on two cores.
const benches = [
  { name: 'packet-rate', minutes: 4, full: ['40'], quick: ['2'] },
  { name: 'event-time', minutes: 20, full: ['0,1000,10000', '40'], quick: ['0,100', '3'] },
  { name: 'hook-time', minutes: 3, full: ['30'], quick: ['2'] },
  { name: 'first-starts', minutes: 12, full: ['10000', '3', '12'], quick: ['100', '1', '3'] },
  { name: 'new-containers', minutes: 6, full: ['1000', '20'], quick: ['10', '2'] },
  { name: 'storm', minutes: 15, full: ['1000', '200', '100000', '5'], quick: ['100', '4', '1000', '1'] },
  { name: 'scale', minutes: 35, full: ['0,1000,10000', '600', '1000'], quick: ['0,100', '3', '8'] },
  { name: 'long-list', minutes: 2, full: ['100000', '12'], quick: ['1000', '2'] },
  { name: 'commit', minutes: 6, full: ['10,1000,10000', '40'], quick: ['10,100', '5'] },
  { name: 'channels', minutes: 6, full: ['10,1000,10000', '20'], quick: ['10', '2'] },
  { name: 'flows', minutes: 4, full: ['10000', '5'], quick: ['100', '1'] },
  { name: 'live-connections', minutes: 3, full: ['200000'], quick: ['2000'] },
  { name: 'heal-time', minutes: 5, full: ['0,1000', '10'], quick: ['0', '2'] },
];
const QUICK_MINUTES = 2;
/** What is told to end takes away what it made; then it is killed, and the next one sweeps up. */
const LAST_MS = 30_000;

const options = process.argv.slice(2);
const quick = options.includes('--quick');
const named = options.filter((word) => word !== '--quick');
const unknown = named.find((word) => benches.every(({ name }) => name !== word));
if (unknown !== undefined) {
  console.error(`bench: no such bench: ${unknown}; there are ${benches.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}

const folder = join('.cache', quick ? 'bench-quick' : 'bench-reports');
const target = quick ? join('.cache', 'bench-quick-page') : 'bench';
rmSync(folder, { recursive: true, force: true });
for (const each of [folder, target]) mkdirSync(each, { recursive: true });
const { drawCurves } = await bundled('curves');

async function bundled(name) {
  const outfile = join('.cache', `bench-${name}.mjs`);
  await build({ entryPoints: [`bench/${name}.ts`], outfile, bundle: true, platform: 'node', format: 'esm' });
  return await import(join(process.cwd(), outfile));
}

/** Why it failed, if it did. */
function runBench(name, words, minutes) {
  // A group of its own, so that its end is the end of all of it.
  const child = spawn(process.execPath, ['scripts/bench.mjs', name, ...words], {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, BENCH_REPORTS: folder },
  });
  let late = false;
  let killing;
  const end = () => {
    child.kill('SIGTERM');
    killing ??= setTimeout(() => process.kill(-child.pid, 'SIGKILL'), LAST_MS);
  };
  const stop = () => {
    stopped = true;
    end();
  };
  const limit = setTimeout(() => {
    late = true;
    end();
  }, minutes * 60_000);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, stop);
  return new Promise((resolve) =>
    child.once('exit', (code, signal) => {
      clearTimeout(limit);
      clearTimeout(killing);
      for (const each of ['SIGINT', 'SIGTERM']) process.removeListener(each, stop);
      if (late) resolve(`it took over ${minutes} minutes`);
      else resolve(code === 0 ? undefined : `it ended with ${code ?? signal}`);
    }),
  );
}

const version = (command, ...args) => spawnSync(command, args, { encoding: 'utf8' }).stdout.trim().split('\n')[0];
const machine = [
  `${cpus().length} × ${cpus()[0].model}, ${Math.round(totalmem() / 2 ** 30)} GB, Linux ${release()}`,
  `Node ${process.version}, ${version('nft', '--version')}, ${version('ip', '-V')}, LXC ${version('lxc-info', '--version')}`,
];

function section(name) {
  const told = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
  const row = (cells) => `| ${cells.join(' | ')} |`;
  const line = row(told.columns.map((_, index) => (index === 0 ? '---' : '---:')));
  const pictures = (told.curves ?? []).map((each) => {
    writeFileSync(join(target, `${each.name}.svg`), drawCurves(each));
    return `![${each.title}](${each.name}.svg)`;
  });
  const command = `\`${told.command}\`, ${told.at.slice(0, 16).replace('T', ' ')} UTC`;
  return [
    `## ${told.title}`,
    told.about,
    command,
    [row(told.columns), line, ...told.rows.map(row)].join('\n'),
    ...pictures,
  ].join('\n\n');
}

/** What the page has already, but for what was told anew, and for benches that are no more. */
function keptSections(page, told) {
  const titles = told.map((text) => text.split('\n', 1)[0]);
  const text = existsSync(page) ? readFileSync(page, 'utf8') : '';
  return text
    .split(/^(?=## )/m)
    .slice(1)
    .map((each) => each.trimEnd())
    .filter((each) => placeOf(each) >= 0 && !titles.includes(each.split('\n', 1)[0]));
}

/** A bench may tell more than one table; they stand where it does. */
const placeOf = (text) =>
  benches.findIndex(({ name }) => name === /^`node scripts\/bench[.]mjs ([a-z-]+)/m.exec(text)?.[1]);

function writePage(failed) {
  const page = join(target, 'results.md');
  const told = readdirSync(folder).map((file) => section(file.replace(/[.]json$/, '')));
  const sections = [...told, ...keptSections(page, told)].sort((one, other) => placeOf(one) - placeOf(other));
  const head = `# Results\n\nWritten by \`npm run bench\`. What is measured, and what was tried: [README.md](README.md).\n\n${machine.join('  \n')}\n`;
  const missing = failed.map(({ name, why }) => `\n\`${name}\` failed this time: ${why}.\n`).join('');
  writeFileSync(page, `${head}${missing}\n${sections.join('\n\n')}\n`);
  return page;
}

const begin = Date.now();
const failed = [];
let stopped = false;
for (const each of benches.filter(({ name }) => named.length === 0 || named.includes(name))) {
  if (stopped) break;
  const { name } = each;
  const words = quick ? each.quick : each.full;
  console.log(`\nbench: ${name} ${words.join(' ')}`);
  // The kernel may still take away the last one's ten thousand links, for minutes; a new namespace waits for that.
  spawnSync('unshare', ['--net', 'true']);
  const began = Date.now();
  const why = await runBench(name, words, quick ? QUICK_MINUTES : each.minutes);
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  console.log(`bench: ${name}: ${seconds} s${why === undefined ? '' : `, failed: ${why}`}`);
  if (why !== undefined) failed.push({ name, why });
  writePage(failed);
}
console.log(`\nbench: wrote ${writePage(failed)} after ${((Date.now() - begin) / 60_000).toFixed(1)} minutes`);
if (failed.length > 0) console.error(`bench: failed: ${failed.map(({ name }) => name).join(', ')}`);
process.exit(stopped || failed.length > 0 ? 1 : 0);
