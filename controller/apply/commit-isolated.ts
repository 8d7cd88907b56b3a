/** Commits a desired state so that what nft refuses of one NIC doesn't keep the others from theirs. */
import { closedPolicy } from '../../policies/compile-policy.ts';
import type { DesiredState, NicState } from '../../render/desired.ts';
import type { ChainNaming } from '../../render/nft.ts';
import type { Backend, Held, Refusal } from './backend.ts';

export interface Isolated {
  /** What the attempt took in the end. */
  readonly enforced: DesiredState;
  /** By NIC key: nft's message. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Tries a whole state; a refusal must have left everything as it was. */
export type Attempt = (state: DesiredState) => Promise<Refusal | undefined>;

/**
 * NICs that nft refuses keep what they had (`before`), or are shut where they had nothing.
 * @throws Error when even a state without any of the changed NICs is refused.
 */
export async function commitIsolated(
  desired: DesiredState,
  before: DesiredState | undefined,
  attempt: Attempt,
  nameOf: ChainNaming,
): Promise<Isolated> {
  const first = await attempt(desired);
  if (first === undefined) return { enforced: desired, refused: new Map() };
  const changed = [...desired.nics].filter(([key, nic]) => before?.nics.get(key) !== nic).map(([key]) => key);
  const refused = new Map<string, string>();
  const stepBack = (keys: readonly string[]): DesiredState => replace(desired, before, keys);
  // nft names the command that it minds, and so mostly the NIC.
  const named = changed.filter((key) => isNamed(desired.nics.get(key), first, nameOf));
  if (named.length > 0 && named.length < changed.length) {
    const second = await attempt(stepBack(named));
    if (second === undefined) return { enforced: stepBack(named), refused: messages(named, first) };
  }
  const find = async (keys: readonly string[]): Promise<void> => {
    const others = changed.filter((key) => !keys.includes(key));
    const refusal = await attempt(stepBack([...others, ...refused.keys()]));
    if (refusal === undefined) return;
    if (keys.length <= 1) {
      if (keys[0] === undefined) throw new Error(`the kernel refuses the ruleset: ${refusal.message}`);
      refused.set(keys[0], refusal.message);
      return;
    }
    const middle = Math.ceil(keys.length / 2);
    await find(keys.slice(0, middle));
    await find(keys.slice(middle));
  };
  await find(changed);
  const enforced = stepBack([...refused.keys()]);
  const last = await attempt(enforced);
  if (last !== undefined) throw new Error(`the kernel refuses the ruleset: ${last.message}`);
  return { enforced, refused };
}

interface InForce {
  readonly before: DesiredState;
  /** Those in force: of `before`, unless they are ahead of the rest. */
  readonly rules: DesiredState;
  readonly backend: Pick<Backend, 'change'>;
  readonly nameOf: ChainNaming;
}

/** The same from what is known to be in force. `commands`: how many were written. */
export async function changeRules(
  desired: DesiredState,
  { before, rules, backend, nameOf }: InForce,
): Promise<{ readonly result: Isolated; readonly commands: number }> {
  let commands = 0;
  let current = rules;
  const attempt: Attempt = async (state) => {
    const { refusal, commands: written } = await backend.change(current, state);
    if (refusal === undefined) current = state;
    commands += written.length;
    return refusal;
  };
  const result = await commitIsolated(desired, before, attempt, nameOf);
  return { result, commands };
}

/** The same from what the kernel was found to hold. `commands`: what was written. */
export async function repairRules(
  desired: DesiredState,
  before: DesiredState | undefined,
  held: Held,
  nameOf: ChainNaming,
): Promise<{ readonly result: Isolated; readonly commands: readonly string[] }> {
  const commands: string[] = [];
  const attempt: Attempt = async (state) => {
    const { refusal, commands: written } = await held.bring(state);
    if (refusal === undefined) commands.push(...written);
    return refusal;
  };
  const result = await commitIsolated(desired, before, attempt, nameOf);
  return { result, commands };
}

const messages = (keys: readonly string[], { message }: Refusal): Map<string, string> =>
  new Map(keys.map((key) => [key, message]));

function isNamed(nic: NicState | undefined, { command = '' }: Refusal, nameOf: ChainNaming): boolean {
  if (nic === undefined) return false;
  return [nameOf(nic.egress), nameOf(nic.ingress), `"${nic.hostVeth}"`].some((name) => command.includes(name));
}

function replace(desired: DesiredState, before: DesiredState | undefined, keys: readonly string[]): DesiredState {
  const nics = new Map(desired.nics);
  for (const key of keys) {
    const nic = desired.nics.get(key);
    const old = before?.nics.get(key);
    if (nic === undefined) continue;
    nics.set(key, old?.hostVeth === nic.hostVeth ? old : shut(nic));
  }
  return { ...desired, nics };
}

const shut = (nic: NicState): NicState => ({ ...nic, egress: closedPolicy.egress, ingress: closedPolicy.ingress });
