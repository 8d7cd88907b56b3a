// npm run test:machine -- [bookworm] [trixie]: the package on machines that boot Debian's own kernels. Without KVM each instruction
// is emulated: a quarter of an hour for a release.
import { loadSource } from './load-source.mjs';

const RELEASES = ['bookworm', 'trixie'];
const asked = process.argv.slice(2);
const unknown = asked.filter((release) => !RELEASES.includes(release));
if (unknown.length > 0) {
  console.error(`usage: npm run test:machine -- [${RELEASES.join('] [')}]; unknown: ${unknown.join()}`);
  process.exit(2);
}
const { tryMachine } = await loadSource('test/machine/machine.ts');
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => ending.abort());
let failed = 0;
for (const release of asked.length > 0 ? asked : RELEASES) {
  if (ending.signal.aborted) break;
  console.log(`\n== Debian ${release}: a machine of its own`);
  failed += await tryMachine(release, ending.signal);
}
process.exitCode = failed === 0 ? 0 : 1;
