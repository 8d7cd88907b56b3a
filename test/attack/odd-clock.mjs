/**
 * Goes into the daemon's process before it (`node --import`): its wall clock, the patience that it has with programs, and
 * whether the kernel gives it more watches, as a file says that it reads at the start and with each SIGUSR2.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers/promises';

const file = process.env.ODD_CLOCK;
const real = { watch: fs.watch, setTimeout: globalThis.setTimeout, sleep: timers.setTimeout, Date: globalThis.Date };
let odd;

function read() {
  odd = JSON.parse(fs.readFileSync(file, 'utf8'));
}
read();
process.on('SIGUSR2', () => {
  read();
  process.stderr.write('odd clock read\n');
});

globalThis.Date = class extends real.Date {
  constructor(...args) {
    if (args.length === 0) super(real.Date.now() + odd.ahead);
    else super(...args);
  }
  static now() {
    return real.Date.now() + odd.ahead;
  }
};
/**
 * A minute is a transaction's patience and how often the clock is looked at, half of one is a command's; ten seconds are a
 * retry's, and a little more is a small comparison's.
 */
function shortened(ms) {
  if (ms === 60_000 || ms === 120_000) return ms / odd.minutes;
  if (ms === 30_000) return ms / odd.halves;
  if (ms === 10_000) return ms / odd.retries;
  return ms > 10_000 && ms <= 15_000 ? ms / odd.tens : ms;
}
globalThis.setTimeout = Object.assign(
  (action, ms, ...args) => real.setTimeout(action, shortened(ms), ...args),
  real.setTimeout,
);
timers.setTimeout = (ms, ...args) => real.sleep(shortened(ms), ...args);
fs.watch = (...args) => {
  if (odd.watches) return real.watch(...args);
  const message = `ENOSPC: System limit for number of file watchers reached, watch '${args[0]}'`;
  throw Object.assign(new Error(message), { code: 'ENOSPC', errno: -28, syscall: 'watch', path: args[0] });
};
syncBuiltinESMExports();
