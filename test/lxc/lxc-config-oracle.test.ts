/** Holds our reading of a configuration against LXC's own, as lxc-info prints it. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseLxcConfig } from '../../watchers/lxc-config/parse-config.ts';
import { realFiles } from '../../watchers/lxc-config/real-files.ts';
import { askLxcInfo, askLxcVersion } from './ask-lxc-info.ts';
import { randomConfig } from './random-config.ts';
import { tellAsLxcInfo } from './tell-as-lxc-info.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures/lxc');
const cases = readdirSync(join(FIXTURES, 'oracle')).sort();
const RUNS = 300;
let lxcPath = '';
let ran = 0;

beforeAll(() => {
  lxcPath = mkdtempSync(join(tmpdir(), 'lxc-oracle-'));
});
afterAll(() => rmSync(lxcPath, { recursive: true, force: true }));

describe(`the configuration parser agrees with lxc-info ${await askLxcVersion()}`, () => {
  it.each(cases)('on %s', async (name) => {
    await compare(name, layOut(`oracle/${name}`, name));
    ran += 1;
  });

  it.each(['busybox', 'none', 'local'])('on what LXC wrote itself: %s', async (name) => {
    await compare(name, layOut(`recorded/${name}`, name));
  });

  it('on random configurations', async () => {
    const folder = join(lxcPath, 'random');
    mkdirSync(folder);
    let loaded = 0;
    const agrees = async (text: string): Promise<void> => {
      writeFileSync(join(folder, 'config'), text);
      const config = parseLxcConfig(join(folder, 'config'), realFiles);
      const lxc = await askLxcInfo(lxcPath, 'random', folder, [0, 1, 8]);
      expect(config.loadable ? tellAsLxcInfo(config) : undefined).toEqual(lxc);
      if (lxc !== undefined) loaded += 1;
    };
    await fc.assert(fc.asyncProperty(randomConfig, agrees), {
      numRuns: RUNS,
      seed: 20270131,
    });
    expect(loaded).toBeGreaterThan(RUNS / 10);
  });

  it('on at least 80 nasty configurations', () => {
    expect(ran).toBe(cases.length);
    expect(ran).toBeGreaterThanOrEqual(80);
  });
});

async function compare(name: string, folder: string): Promise<void> {
  const config = parseLxcConfig(join(folder, 'config'), realFiles, { workingDirectory: folder });
  const indexes = new Set([0, 1, 2, 8, 10, ...config.nics.map((nic) => nic.index)]);
  const lxc = await askLxcInfo(lxcPath, name, folder, [...indexes]);
  expect({ loadable: config.loadable, problems: config.problems }).toMatchObject({ loadable: lxc !== undefined });
  if (lxc !== undefined) expect(tellAsLxcInfo(config)).toEqual(lxc);
}

/** A copy of the case as a container of its own, @DIR@ in its files standing for the container's folder. */
function layOut(source: string, name: string): string {
  const folder = join(lxcPath, name);
  mkdirSync(folder);
  cpSync(join(FIXTURES, source), folder, { recursive: true });
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, entry);
    // latin1 keeps every byte as it is.
    if (statSync(file).isFile()) {
      writeFileSync(file, readFileSync(file, 'latin1').replaceAll('@DIR@', folder), 'latin1');
    }
  }
  return folder;
}
