/** Which texts the fuzz makes: the same for the same `ATTACK_SEED`, and `FUZZ_RUNS` of each. */

/** What `fc.assert` takes; its failure prints the seed, the path and the shrunk case. */
export const runs = {
  seed: Number(process.env['ATTACK_SEED'] ?? 20_260_612),
  numRuns: Number(process.env['FUZZ_RUNS'] ?? 100),
};
