// Runs everything that proves the product: the static checks, then the tests; --fast leaves out the real parts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';

const fast = process.argv.includes('--fast');
const report = 'dist/test-report.json';

// A file of certificates costs each Node process a tenth of a second, and none here asks for any.
const env = { ...process.env, NODE_EXTRA_CA_CERTS: '' };

/** @returns whether it succeeded; its output is shown as it comes, or `whole` at its end. */
async function run(title, command, args, { whole = false } = {}) {
  if (!whole) console.log(`\n== ${title}`);
  const child = spawn(command, args, { env, stdio: whole ? ['ignore', 'pipe', 'pipe'] : 'inherit' });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text) => (said += text));
  const [status] = await once(child, 'close');
  if (whole) console.log(`\n== ${title}\n${said}`);
  return status === 0;
}

if (!fast && process.getuid?.() !== 0) {
  console.error('npm test makes network namespaces and containers of its own, which needs root: run sudo npm test');
  process.exit(1);
}

rmSync(report, { force: true });
// Beside the tests, whose beginning waits for Debian's mirror more than for a processor.
const checking = run('static checks', 'npm', ['run', '--silent', 'check'], { whole: true });
const projects = fast ? ['--project', 'fast'] : [];
const tests = await run('tests', 'npx', [
  'vitest',
  'run',
  ...projects,
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
]);
const checks = await checking;

// No report: the runner itself didn't get to its end.
const counted = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { numFailedTests: 1 };
const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = counted;
console.log(`\nstatic checks ${checks ? 'passed' : 'FAILED'}; skipped tests: ${numPendingTests}`);
console.log(`${numPassedTests} passed, ${numFailedTests + (checks ? 0 : 1)} failed`);
process.exitCode = checks && tests && numPassedTests > 0 && numPendingTests === 0 ? 0 : 1;
