// Runs everything that proves the product: the static checks, then the tests; --fast leaves out the real parts.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';

const fast = process.argv.includes('--fast');
const report = 'dist/test-report.json';

function run(title, command, args) {
  console.log(`\n== ${title}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  return status === 0;
}

if (!fast && process.getuid?.() !== 0) {
  console.error('npm test makes network namespaces and containers of its own, which needs root: run sudo npm test');
  process.exit(1);
}

rmSync(report, { force: true });
const checks = run('static checks', 'npm', ['run', '--silent', 'check']);
const projects = fast ? ['--project', 'fast'] : [];
const tests = run('tests', 'npx', [
  'vitest',
  'run',
  ...projects,
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
]);

// No report: the runner itself didn't get to its end.
const counted = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : { numFailedTests: 1 };
const { numPassedTests = 0, numFailedTests = 0, numPendingTests = 0 } = counted;
console.log(`\nstatic checks ${checks ? 'passed' : 'FAILED'}; skipped tests: ${numPendingTests}`);
console.log(`${numPassedTests} passed, ${numFailedTests + (checks ? 0 : 1)} failed`);
process.exitCode = checks && tests && numPassedTests > 0 && numPendingTests === 0 ? 0 : 1;
