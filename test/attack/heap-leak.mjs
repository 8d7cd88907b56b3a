/** Goes into the daemon's process beside the gauge: something of each start is kept for ever, as a forgotten listener would. */
const kept = [];
const KEPT_BYTES = 6_000;

for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (text, ...rest) => {
    for (const _ of String(text).matchAll(/: enforced in /g)) kept.push(new Array(KEPT_BYTES / 8).fill(kept.length));
    return write(text, ...rest);
  };
}
