// npm run attack -- [--minutes N] [--seed S]: what attacks by chance, over and over with another seed each time.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1e9) } },
});
const minutes = Number(values.minutes);
const first = Number(values.seed);
if (!(minutes > 0) || !Number.isInteger(first)) {
  console.error('attack: --minutes is a number above 0, --seed a whole number');
  process.exit(2);
}

/** Each takes its seed and its size from the environment, and prints the case that failed. */
const SUITES = [
  'test/attack',
  'test/lxc/random-packets.test.ts',
  'test/kernel/random-policies.test.ts',
  'test/kernel/differential.test.ts',
  'test/fuzz',
];
const end = Date.now() + minutes * 60_000;
for (let seed = first; Date.now() < end; seed += 1) {
  console.log(`\n== seed ${seed}, ${Math.ceil((end - Date.now()) / 60_000)} minutes left`);
  const sizes = {
    ATTACK_SEED: String(seed),
    ATTACK_STEPS: '300',
    ATTACK_SHRINK_MINUTES: '10',
    ATTACK_PACKETS: '3000',
    DIFFERENTIAL_SEED: String(seed),
    FUZZ_RUNS: '300',
  };
  const { status } = spawnSync('npx', ['vitest', 'run', ...SUITES], {
    stdio: 'inherit',
    env: { ...process.env, ...sizes },
  });
  if (status !== 0) {
    console.error(`attack: broken by seed ${seed}: npm run attack -- --minutes 1 --seed ${seed}`);
    process.exit(1);
  }
}
