/** Goes into the daemon's process before it (`node --import`): with each SIGUSR2 it says what is alive after a collection. */
import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--expose-gc');
const collect = vm.runInNewContext('gc');

process.on('SIGUSR2', () => {
  // What a first collection finalizes, a second one takes away.
  collect();
  collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.stderr.write(`heap-gauge ${heapUsed} ${external} ${rss}\n`);
  if (process.env.HEAP_SNAPSHOTS) v8.writeHeapSnapshot(`${process.env.HEAP_SNAPSHOTS}/${Date.now()}.heapsnapshot`);
});
