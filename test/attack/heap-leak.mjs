/**
 * Goes into the daemon's process beside the gauge: from SIGWINCH on something of each start is kept for ever, as a
 * forgotten listener would.
 */
const kept = [];
const KEPT_BYTES = 6_000;
let leaks = false;

process.on('SIGWINCH', () => {
  leaks = true;
});

for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (text, ...rest) => {
    const starts = leaks ? [...String(text).matchAll(/: enforced in /g)] : [];
    for (const _ of starts) kept.push(new Array(KEPT_BYTES / 8).fill(kept.length));
    return write(text, ...rest);
  };
}
