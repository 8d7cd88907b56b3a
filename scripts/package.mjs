// Builds dist/routewall_VERSION_all.deb: the same bytes for the same sources and SOURCE_DATE_EPOCH.
import { execFileSync } from 'node:child_process';
import { chmod, cp, lutimes, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { renderCompletion } from './generate-completion.mjs';
import { renderCopyright } from './generate-copyright.mjs';
import { renderManuals } from './generate-manuals.mjs';
import { readHelp } from './read-help.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bundle = join(root, 'dist/routewall.mjs');
const DOC = 'usr/share/doc/routewall';
/** Any: which bridge it is makes no difference to who is shut. */
const BRIDGED = 'lxc.net.0.type = veth\nlxc.net.0.link = lxcbr0\n';

const { values } = parseArgs({ options: { version: { type: 'string' }, out: { type: 'string' } } });
const { version: release } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
/** Another version than package.json's is for trying an upgrade. */
const version = values.version ?? release;
const epoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? lastCommit());

/** Outside a checkout there is no commit: then a day that doesn't move. */
function lastCommit() {
  try {
    return execFileSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' }).trim();
  } catch {
    return '1767225600';
  }
}

execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'inherit' });
const staging = await mkdtemp(join(tmpdir(), 'routewall-package-'));
try {
  await stage();
  await stageControl();
  await settle(staging);
  const out = join(values.out ?? join(root, 'dist'), `routewall_${version}_all.deb`);
  await mkdir(dirname(out), { recursive: true });
  // One thread: xz cuts its blocks by their number.
  const how = ['--root-owner-group', '-Zxz', '--threads-max=1', '--build', staging, `${out}.${process.pid}`];
  execFileSync('dpkg-deb', how, {
    env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  // Who reads the old one at this moment keeps it whole.
  await rename(`${out}.${process.pid}`, out);
  console.log(`package: ${out}`);
} finally {
  await rm(staging, { recursive: true, force: true });
}

async function stage() {
  await cp(join(root, 'packaging/root'), staging, { recursive: true });
  const [program, graphviz] = await Promise.all(['routewall', 'graphviz'].map(readMetafile));
  const outputs = { ...program.outputs, ...graphviz.outputs };
  for (const path of Object.keys(outputs).filter((name) => name.endsWith('.mjs'))) {
    // Started by /usr/sbin/routewall, not by itself.
    const text = (await readFile(join(root, path), 'utf8')).replace(/^#!.*\n/, '');
    await put(path.replace(/^dist/, 'usr/lib/routewall'), text);
  }
  await put('usr/lib/routewall/guard.nft', await renderGuard('nftables'));
  await put('usr/lib/routewall/guard-bridges.nft', await renderGuard('nftables', BRIDGED));
  // For kernels without nf_tables.
  await put('usr/lib/routewall/guard.iptables', await renderGuard('iptables-legacy'));
  await cp(join(root, 'packaging/hook/routewall-hook'), join(staging, 'usr/lib/routewall/hook'));
  for (const name of ['policy', 'config']) {
    await put(`usr/share/routewall/${name}.schema.json`, await readFile(join(root, `policies/${name}.schema.json`)));
  }
  const help = readHelp(bundle);
  await put('usr/share/bash-completion/completions/routewall', await renderCompletion(root, help));
  const date = new Date(epoch * 1000).toISOString().slice(0, 10);
  for (const [name, text] of Object.entries(await renderManuals({ root, help, version, date }))) {
    await put(`usr/share/man/man${name.at(-1)}/${name}.gz`, compress(text));
  }
  await put(`${DOC}/copyright`, await renderCopyright(root, { outputs }));
  await put(`${DOC}/changelog.gz`, compress(await readChangelog()));
  // Plain, as messages name them; with the example files that they show.
  for (const name of await readdir(join(root, 'docs')))
    await put(`${DOC}/${name}`, await readFile(join(root, 'docs', name)));
}

async function readMetafile(name) {
  return JSON.parse(await readFile(join(root, `dist/${name}.meta.json`), 'utf8'));
}

async function put(path, content) {
  await mkdir(dirname(join(staging, path)), { recursive: true });
  await writeFile(join(staging, path), content);
}

/** gzip's header would hold the time; zlib leaves it out. */
function compress(text) {
  return gzipSync(text, { level: 9 });
}

/**
 * What the product renders for a host of which nothing is known, so that the daemon adopts it as it is. `config`: of a
 * container that doesn't run.
 */
async function renderGuard(backend, config) {
  const bare = await mkdtemp(join(tmpdir(), 'routewall-bare-'));
  try {
    await writeFile(join(bare, 'state.json'), '{"containers":{},"links":[]}');
    await writeFile(join(bare, 'routewall.yaml'), '');
    await mkdir(join(bare, 'containers'));
    await mkdir(join(bare, 'lxc/any'), { recursive: true });
    if (config !== undefined) await writeFile(join(bare, 'lxc/any/config'), config);
    const files = ['--state', 'state.json', '--config', 'routewall.yaml', '--policies', '.', '-P', 'lxc'];
    return execFileSync(process.execPath, [bundle, 'render', '--what', 'rules', '--backend', backend, ...files], {
      cwd: bare,
    });
  } finally {
    await rm(bare, { recursive: true, force: true });
  }
}

async function readChangelog() {
  const text = await readFile(join(root, 'packaging/changelog'), 'utf8');
  if (text.startsWith(`routewall (${version}) `)) return text;
  if (version === release) throw new Error(`packaging/changelog: its first entry is not about ${version}`);
  const signed = / -- .*> {2}/.exec(text)?.[0] ?? '';
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `routewall (${version}) UNRELEASED; urgency=medium\n\n  * A build to try.\n\n${signed}${date}\n\n${text}`;
}

async function stageControl() {
  const files = await listFiles(staging);
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const kilobytes = sizes.reduce((sum, size) => sum + Math.ceil(size / 1024), 0);
  const control = await readFile(join(root, 'packaging/control'), 'utf8');
  const names = files.map((file) => relative(staging, file)).sort();
  const sums = execFileSync('md5sum', names, { cwd: staging, encoding: 'utf8' });
  await put('DEBIAN/control', control.replace('@VERSION@', version).replace('@SIZE@', String(kilobytes)));
  await put('DEBIAN/md5sums', sums);
  await put('DEBIAN/conffiles', names.flatMap((name) => (name.startsWith('etc/') ? [`/${name}\n`] : [])).join(''));
  for (const script of ['postinst', 'prerm', 'postrm']) {
    await put(`DEBIAN/${script}`, await readFile(join(root, 'packaging', script)));
  }
}

async function listFiles(folder) {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** Modes and times are not those of the checkout: a umask or a clone changes them. */
async function settle(path) {
  const { isDirectory, mode } = await describe(path);
  await chmod(path, mode);
  if (isDirectory) for (const name of await readdir(path)) await settle(join(path, name));
  await lutimes(path, epoch, epoch);
}

async function describe(path) {
  if ((await stat(path)).isDirectory()) return { isDirectory: true, mode: 0o755 };
  const script = !path.endsWith('.mjs') && (await readFile(path)).subarray(0, 2).toString() === '#!';
  return { isDirectory: false, mode: script ? 0o755 : 0o644 };
}
