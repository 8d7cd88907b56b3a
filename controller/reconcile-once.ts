/** `routewall daemon --once`: brings the kernel to what the files say, and ends. */
import type { HostConfig } from '../policies/config.ts';
import type { DaemonOptions } from './daemon-options.ts';
import type { Parts } from './parts.ts';
import { everythingDirty, nothingDirty } from './pass/dirty.ts';
import type { Outcome } from './pass/outcome.ts';
import { Reconciler } from './pass/reconcile.ts';

/** @returns the exit status. */
export async function reconcileOnce(options: DaemonOptions, config: HostConfig, parts: Parts): Promise<number> {
  const reconciler = new Reconciler({
    ...options,
    ...parts,
    config,
    backend: parts.servingBackend(),
    run: parts.forks.run,
    answers: () => parts.dnsMemory.answers,
    onConfigRead: () => undefined,
  });
  const begin = performance.now();
  parts.claims.switch(config.probe);
  const outcome = await passUntilAnswered(reconciler, parts);
  parts.reporter.report(outcome, reconciler.reader, performance.now() - begin);
  if (!outcome.choice.isUnconfirmed) parts.bootRuleset.keep(outcome.applied.enforced);
  await parts.keeper.flush();
  await parts.bootRuleset.flush();
  await parts.lastGood.idle();
  await parts.reporter.settle();
  return parts.reporter.hasErrors ? 1 : 0;
}

/** A pass, and one more for each answer of the neighbours who are asked about addresses. */
async function passUntilAnswered(reconciler: Reconciler, { claims, news }: Parts): Promise<Outcome> {
  // Answers may come during a pass.
  let isNew = false;
  let wake = (): void => undefined;
  news.act = () => {
    isNew = true;
    wake();
  };
  let outcome = await reconciler.reconcile(everythingDirty());
  while (isNew || claims.isAsking) {
    if (!isNew)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    isNew = false;
    outcome = await reconciler.reconcile(nothingDirty());
  }
  return outcome;
}
