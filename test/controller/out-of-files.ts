/** This process without a descriptor left. */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { run } from '../../controller/commands/run.ts';

const held: number[] = [];
const limit = (files: string): void => void spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:`]);

/** What is loaded lazily is loaded before. */
export async function exhaustFiles(): Promise<void> {
  await run('true', []);
  limit('400');
  try {
    for (;;) held.push(openSync('/dev/null', 'r'));
  } catch {
    // That was the last one.
  }
}

export function releaseFiles(): void {
  for (const file of held.splice(0)) closeSync(file);
}

/** As before the first of both. */
export function restoreFiles(): void {
  releaseFiles();
  limit('1024');
}
