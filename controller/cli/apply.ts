/** `routewall apply`, `confirm` and `rollback`: what is on the disk comes into force, for good or on trial; and back. */
import { timeText } from '../../policies/moment.ts';
import type { Invocation } from './options.ts';
import { type OrderAnswer, order, orderedBy, parseRevisionNumber, parseSeconds, revisionText } from './order.ts';

export async function runApply(
  invocation: Invocation,
  { confirm }: { readonly confirm: string | undefined },
): Promise<number> {
  const confirmSeconds = confirm === undefined ? null : parseSeconds(confirm);
  const by = orderedBy(invocation.io.env);
  return await order(invocation, { order: 'apply', confirmSeconds, by }, (answer) => applied(answer, confirmSeconds));
}

function applied(answer: OrderAnswer, confirmSeconds: number | null): string {
  const { unconfirmed, changed } = answer;
  if (unconfirmed !== null && confirmSeconds !== null) {
    return [
      `${revisionText(answer)} is in force for ${confirmSeconds} s; keep it: routewall confirm`,
      `otherwise revision ${unconfirmed.previous} comes back at ${timeText(unconfirmed.until)}`,
    ].join('\n');
  }
  if (changed) return `${revisionText(answer)} is in force`;
  const hint =
    confirmSeconds !== null && answer.autoApply
      ? '\nnothing is left to confirm: with autoApply, files come into force when they are saved (autoApply: false changes that)'
      : '';
  return `nothing to apply: ${revisionText(answer)} is in force, and the files say the same${hint}`;
}

export async function runConfirm(invocation: Invocation): Promise<number> {
  return await order(invocation, { order: 'confirm' }, (answer) => `${revisionText(answer)} stays in force`);
}

export async function runRollback(invocation: Invocation, number: string | undefined): Promise<number> {
  const to = number === undefined ? null : parseRevisionNumber(number);
  const by = orderedBy(invocation.io.env);
  return await order(invocation, { order: 'rollback', to, by }, (answer) =>
    answer.changed ? `${revisionText(answer)} is in force` : `nothing changes: ${revisionText(answer)} is in force`,
  );
}
