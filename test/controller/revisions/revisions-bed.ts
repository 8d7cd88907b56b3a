/** Revisions on a real folder, with a disk that fails where a test says so, and a clock that a test turns. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../../controller/revisions/due.ts';
import { type Choice, type Order, Revisions } from '../../../controller/revisions/revisions.ts';
import { type DurableDisk, realDisk } from '../../../controller/state/durable-disk.ts';
import type { PolicyFiles } from '../../../policies/policy-files.ts';

export interface Bed {
  readonly folder: string;
  readonly clock: { now: number; uptime: number; boot: string };
  /** Complaints of the present run. */
  readonly said: string[];
  /** A new run on what the last one left; `failing` tells by a step's number (from 1) whether it fails. */
  open(failing?: (step: number) => boolean): Promise<Run>;
  remove(): Promise<void>;
}

export interface Run {
  readonly revisions: Revisions;
  readonly steps: () => number;
  /** A pass: the policy `web.yaml` with this text is on the disk. */
  pass(text: string, order?: Order): Promise<Choice & { readonly inForce: string | undefined }>;
}

export const filesWith = (text: string): PolicyFiles => new Map([['containers/web.yaml', Buffer.from(text)]]);

export async function makeBed(): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'routewall-revisions-'));
  const clock = { now: Date.parse('2026-01-02T03:04:05Z'), uptime: 1000, boot: 'one' };
  const said: string[] = [];
  const asked: Clock = { now: () => clock.now, uptime: () => clock.uptime, boot: () => clock.boot };
  return {
    folder,
    clock,
    said,
    open: async (failing = () => false) => {
      said.length = 0;
      let step = 0;
      const disk = failingDisk(() => {
        step += 1;
        if (failing(step)) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      });
      const revisions = new Revisions({
        ...{ folder: join(folder, 'revisions'), disk, clock: asked, log: (_, text) => void said.push(text) },
        beforeUnconfirmed: () => Promise.resolve(),
        onDue: () => undefined,
      });
      await revisions.open();
      // Only passes look at the time here.
      revisions.stop();
      return { revisions, steps: () => step, pass: (text, order) => pass(revisions, text, order) };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function pass(revisions: Revisions, text: string, order: Order | undefined) {
  const choice = await revisions.choose(filesWith(text), { autoApply: false, isFolderMissing: false }, order);
  revisions.stop();
  const content = choice.files.get('containers/web.yaml');
  return { ...choice, inForce: content === undefined ? undefined : String(content) };
}

function failingDisk(step: () => void): DurableDisk {
  const guarded =
    <A extends readonly unknown[]>(work: (...args: A) => Promise<void>) =>
    async (...args: A): Promise<void> => {
      step();
      await work(...args);
    };
  return {
    makeFolder: guarded(realDisk.makeFolder),
    write: guarded(realDisk.write),
    link: guarded(realDisk.link),
    rename: guarded(realDisk.rename),
    syncFolder: guarded(realDisk.syncFolder),
    remove: guarded(realDisk.remove),
  };
}
