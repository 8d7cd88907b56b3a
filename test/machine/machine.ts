/** Whole machines that boot Debian's own kernels, in QEMU, with the package on them; `host/` has what differs from Debian's tree. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { debianTreeWithKernel, type Release } from '../../sandbox/debian-tree.ts';
import { run } from '../../sandbox/run.ts';

/** Seen from the bundle, which lies one folder below the project. */
const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Milliseconds; a machine that takes longer hangs. */
const PATIENCE = 60 * 60_000;

interface Machine {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  /** The kernel's, besides those of each boot. */
  readonly options: string;
}

/** What it says is shown as it comes. @returns how many checks failed; one that doesn't get to its end is one more. */
export async function tryMachine(release: Release, signal: AbortSignal): Promise<number> {
  const tree = await debianTreeWithKernel(release);
  const folder = join(ROOT, '.cache', `machine-${release}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  try {
    const machine = await makeMachine(tree, folder);
    const failed = await boot(machine, folder, signal);
    if (signal.aborted) return failed;
    console.log('# boots again without IPv6 in its kernel');
    return failed + (await boot({ ...machine, options: 'ipv6.disable=1' }, folder, signal));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A disk with the package, the built sandbox and the checks on it, beside the release's kernel. */
async function makeMachine(tree: string, folder: string): Promise<Machine> {
  const [files, disk] = [join(folder, 'root'), join(folder, 'disk')];
  await run('cp', ['-a', '--reflink=auto', tree, files], { timeout: 600_000 });
  await cp(join(ROOT, 'test/machine/host'), files, { recursive: true });
  const checks = join(files, 'opt/checks');
  for (const part of ['dist', 'fixtures', 'sandbox'])
    await cp(join(ROOT, part), join(checks, 'routewall', part), { recursive: true });
  const deb = onlyOne(await readdir(join(ROOT, 'dist')), /^routewall_.*_all[.]deb$/);
  await cp(join(ROOT, 'dist', deb), join(checks, 'routewall.deb'));
  await run('systemctl', ['--quiet', '--root', files, 'enable', 'checks.service']);
  await run('truncate', ['-s', '6G', disk]);
  await run('mke2fs', ['-q', '-t', 'ext4', '-d', files, disk], { timeout: 600_000 });
  const kernels = await readdir(join(files, 'boot'));
  const [kernel, initrd] = [/^vmlinuz-/, /^initrd[.]img-/].map((name) => join(files, 'boot', onlyOne(kernels, name)));
  return { disk, kernel: String(kernel), initrd: String(initrd), options: '' };
}

function onlyOne(names: readonly string[], pattern: RegExp): string {
  const [name, ...others] = names.filter((each) => pattern.test(each));
  if (name === undefined || others.length > 0)
    throw new Error(`expected one ${pattern}, found: ${[name, ...others].join(', ')}`);
  return name;
}

/** Its first serial line is the kernel's, into a file; the second is what the checks tell. */
function qemuWords({ disk, kernel, initrd, options }: Machine, said: string): string[] {
  const accelerator = existsSync('/dev/kvm') ? 'kvm' : 'tcg,thread=multi';
  const line = 'root=/dev/vda rw console=ttyS0 quiet mitigations=off net.ifnames=0 nowatchdog';
  const drive = `file=${disk},format=raw,if=virtio,cache=unsafe`;
  return [
    ...['-machine', 'q35', '-accel', accelerator, '-cpu', 'max', '-smp', '2', '-m', '3072'],
    ...['-kernel', kernel, '-initrd', initrd, '-append', `${line} ${options}`, '-drive', drive],
    ...['-nic', 'none', '-display', 'none', '-monitor', 'none', '-serial', `file:${said}`, '-serial', 'stdio'],
  ];
}

async function boot(machine: Machine, folder: string, signal: AbortSignal): Promise<number> {
  const said = join(folder, 'console');
  const child = spawn('qemu-system-x86_64', qemuWords(machine, said), {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: PATIENCE,
    signal,
  });
  child.on('error', ({ message }) => console.log(`qemu-system-x86_64: ${message}`));
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    lines.push(line);
  }
  const count = (start: string): number => lines.filter((line) => line.startsWith(start)).length;
  const [passed, failed, isDone] = [count('ok '), count('not ok '), lines.includes('done')];
  console.log(
    `${passed} passed, ${failed} failed${isDone ? '' : '; it did not get to its end, and its console says:'}`,
  );
  if (isDone) return failed;
  console.log((await readFile(said, 'utf8').catch(String)).split('\n').slice(-30).join('\n'));
  return failed + 1;
}
