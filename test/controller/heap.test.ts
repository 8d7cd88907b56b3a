/** What V8 is told when; what it does with it is measured by the benches. */
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { createHeap } from '../../controller/heap.ts';

const FEW = ['--optimize-for-size', '--heap-growing-percent=0'];
const MANY = ['--no-optimize-for-size', '--heap-growing-percent=25'];

let told: string[];

function start() {
  told = [];
  const heap = createHeap((flag) => told.push(flag));
  expect(told.splice(0)).toEqual(['--heap-growing-percent=100']);
  return heap;
}

test.each([
  [0, 0, FEW],
  [1_000, 1_000, FEW],
  [10_000, 0, MANY],
  [1, 100_000, MANY],
])('with %d NICs and %d addresses in lists, once', (nics, addresses, flags) => {
  const heap = start();
  heap.settle({ nics, addresses });
  heap.settle({ nics, addresses });
  expect(told).toEqual(flags);
});

test('anew where few become many, and many few', () => {
  const heap = start();
  for (const nics of [0, 5_000, 6_000, 10]) heap.settle({ nics, addresses: 0 });
  expect(told).toEqual([...FEW, ...MANY, ...FEW]);
});

test('this Node knows all that it is told', async () => {
  const { stdout } = await execa(process.execPath, ['--v8-options']);
  for (const flag of [...FEW, ...MANY]) expect(stdout).toContain(flag.replace(/^--(no-)?/, ' --').replace(/=.*/, ' '));
});
