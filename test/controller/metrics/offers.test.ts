/** Where the metrics appear: a file that is replaced whole, and a socket that answers nothing but them. */
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Listener, openListener } from '../../../controller/metrics/listener.ts';
import { openMetrics } from '../../../controller/metrics/open-metrics.ts';
import { openTextfile } from '../../../controller/metrics/textfile.ts';

let folder: string;
const said: string[] = [];
const log = (_level: string, message: string): void => void said.push(message);
const open: { stop(): Promise<void> }[] = [];

beforeEach(async () => {
  said.length = 0;
  folder = await mkdtemp(join(tmpdir(), 'metrics-'));
});
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop();
  await rm(folder, { recursive: true, force: true });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const textOf = (file: string): Promise<string | undefined> => readFile(file, 'utf8').catch(() => undefined);

function ask(socketPath: string, method: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject).end();
  });
}

async function listenOn(path: string, render = () => Promise.resolve('up 1\n')): Promise<Listener> {
  const listener = await openListener({ address: { kind: 'unix', path }, contentType: 'text/plain', render, log });
  open.push(listener);
  return listener;
}

test('a burst of changes is one writing; nothing of it stays when it stops', async () => {
  const path = join(folder, 'wall.prom');
  let count = 0;
  const render = (): Promise<string> => Promise.resolve(`count ${++count}\n`);
  const periods = { soonMs: 5, leastMs: 1_000_000, idleMs: 1_000_000, idleMostMs: 1_000_000 };
  const writer = openTextfile({ path, render, log, periods });
  for (let change = 0; change < 100; change += 1) writer.changed();
  await until(async () => (await textOf(path)) === 'count 1\n');
  expect((await stat(path)).mode & 0o777).toBe(0o644);
  writer.changed();
  await writer.stop();
  expect([await readdir(folder), count, said]).toEqual([[], 1, []]);
});

test('the file is renewed while nothing happens', async () => {
  const path = join(folder, 'wall.prom');
  let count = 0;
  const render = (): Promise<string> => Promise.resolve(`count ${++count}\n`);
  const writer = openTextfile({ path, render, log, periods: { soonMs: 1, leastMs: 1, idleMs: 5, idleMostMs: 5 } });
  open.push(writer);
  writer.changed();
  await until(async () => ((await textOf(path)) ?? '') >= 'count 3');
});

test('links that somebody planted in the folder are not followed', async () => {
  const [path, victim] = [join(folder, 'wall.prom'), join(folder, 'victim')];
  await writeFile(victim, 'precious');
  await symlink(victim, path);
  await symlink(victim, `${path}.new`);
  const periods = { soonMs: 1, leastMs: 1, idleMs: 1_000_000, idleMostMs: 1_000_000 };
  const writer = openTextfile({ path, render: () => Promise.resolve('up 1\n'), log, periods });
  open.push(writer);
  writer.changed();
  await until(async () => (await textOf(path)) === 'up 1\n');
  expect((await lstat(path)).isSymbolicLink()).toBe(false);
  expect(await textOf(victim)).toBe('precious');
});

test('a folder that is missing is told once, and the file comes as soon as it is there', async () => {
  const path = join(folder, 'later', 'wall.prom');
  const periods = { soonMs: 1, leastMs: 1, idleMs: 2, idleMostMs: 2 };
  let count = 0;
  const render = (): Promise<string> => Promise.resolve(`count ${++count}\n`);
  const writer = openTextfile({ path, render, log, periods });
  open.push(writer);
  writer.changed();
  await until(() => Promise.resolve(count > 3));
  expect(said).toEqual([expect.stringMatching(/^metrics: .*wall\.prom: ENOENT/)]);
  await mkdir(join(folder, 'later'));
  await until(async () => (await textOf(path)) !== undefined);
});

test('the socket answers GET /metrics, and says no to everything else', async () => {
  const path = join(folder, 'wall.sock');
  await listenOn(path);
  expect(await ask(path, 'GET', '/metrics')).toBe('200 up 1\n');
  expect(await ask(path, 'GET', '/metrics?name=x')).toBe('200 up 1\n');
  expect(await ask(path, 'HEAD', '/metrics')).toBe('200 ');
  expect(await ask(path, 'GET', '/')).toBe('404 only /metrics\n');
  expect(await ask(path, 'POST', '/metrics')).toBe('405 only GET\n');
  expect((await stat(path)).mode & 0o777).toBe(0o666);
});

test('a failure is told to the log, not to the scraper', async () => {
  const path = join(folder, 'wall.sock');
  await listenOn(path, () => Promise.reject(new Error('secret')));
  expect(await ask(path, 'GET', '/metrics')).toBe('500 the metrics cannot be read\n');
  expect(said).toEqual(['metrics: secret']);
});

test('a socket that somebody serves, and a file that is none, are left alone', async () => {
  const [path, file] = [join(folder, 'wall.sock'), join(folder, 'file')];
  await writeFile(file, 'precious');
  await listenOn(path);
  await expect(listenOn(path)).rejects.toThrow('is served by another process');
  await expect(listenOn(file)).rejects.toThrow('is no socket');
  expect([await ask(path, 'GET', '/metrics'), await textOf(file)]).toEqual(['200 up 1\n', 'precious']);
});

test('a configuration that changes moves the metrics; a place that cannot be had is told', async () => {
  const run = () => Promise.resolve({ stdout: '', stderr: '', exitCode: 0 });
  const metrics = openMetrics(run, log);
  open.push(metrics);
  const [path, file] = [join(folder, 'wall.sock'), join(folder, 'file')];
  const at = (socket: string) => ({ textfile: undefined, listen: { kind: 'unix' as const, path: socket } });
  await metrics.configure(at(path));
  metrics.observeFailure();
  expect(await ask(path, 'GET', '/metrics')).toContain('routewall_passes_total{result="failed"} 1\n');
  await writeFile(file, '');
  await chmod(file, 0o600);
  await metrics.configure(at(file));
  expect(said).toEqual([`metrics: ${file} exists and is no socket; trying again`]);
  await expect(ask(path, 'GET', '/metrics')).rejects.toThrow();
  await metrics.configure(at(path));
  expect(await ask(path, 'GET', '/metrics')).toContain('routewall_passes_total{result="failed"} 1\n');
});

test('without node_exporter and without a listener, nothing is made', async () => {
  const run = () => Promise.reject(new Error('not asked for'));
  const metrics = openMetrics(run, log);
  open.push(metrics);
  await metrics.configure({ textfile: { path: join(folder, 'none', 'wall.prom'), optional: true }, listen: undefined });
  metrics.observeFailure();
  expect([await readdir(folder), said]).toEqual([[], []]);
});

test('a place that somebody else has at first is had once it is free, which is told once', async () => {
  const path = join(folder, 'metrics.sock');
  const other = await listenOn(path);
  const metrics = openMetrics(() => expect.fail('nobody asks'), log);
  open.push(metrics);
  await metrics.configure({ textfile: undefined, listen: { kind: 'unix', path } });
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(said).toEqual([`metrics: ${path} is served by another process; trying again`]);
  await other.stop();
  await until(async () => said.length > 1);
  expect(said[1]).toBe('metrics: offered');
  await metrics.stop();
  expect(await readdir(folder)).toEqual([]);
});
