/**
 * Which neighbour proxies may be set: those of addresses that nobody else has on the uplink's link. Each is asked about
 * once, before it is set; what stands in the kernel already stays ours.
 */
import type { HostNetwork } from '../../policies/host-network.ts';
import type { Address } from '../../render/address.ts';
import type { DesiredState, NeighbourProxy } from '../../render/desired.ts';
import { proxyKey } from '../../render/routing.ts';
import type { StreamLines } from '../commands/run.ts';
import { type Log, messageOf } from '../log.ts';
import { askLink, type Question } from './ask-link.ts';
import { isOwnAnswer, linkQuestion } from './link-question.ts';
import type { Taken, TakenAddress } from './taken-file.ts';
import { TakenKeeper } from './taken-keeper.ts';

export interface AddressClaimsOptions {
  readonly stream: StreamLines;
  readonly log: Log;
  /** A pass has something to do: proxies that may be set now, or addresses that are taken, or no longer. */
  readonly onNews: () => void;
  /** Keeps what is taken, for other processes. @throws Error */
  readonly keep: (taken: Taken) => void;
}

/** `silent`: nobody answered, and the next pass sets the proxy. */
type State = 'asking' | 'silent' | 'claimed';

interface Asked extends Question {
  readonly key: string;
  readonly veth: string;
}

/** What is in use is asked about this often, and not in step with another host that found the same. */
const AGAIN_MS = { least: 8_000, more: 4_000 };

/** Questions that come within this of others share a process with them. */
const GATHER_MS = 50;

const NOBODY: Taken = new Map();

export class AddressClaims {
  readonly #options: AddressClaimsOptions;
  #isOn = false;
  #isStopped = false;
  /** By proxyKey; one that isn't in here was never to be asked about. */
  readonly #states = new Map<string, State>();
  /** The last question about each: an answer to an older one tells of the container that wants the address now. */
  readonly #asked = new Map<string, Asked>();
  readonly #due = new Map<string, NeighbourProxy>();
  #taken: Taken;
  readonly #keeper: TakenKeeper;
  #network: HostNetwork | undefined;
  #toAsk: Asked[] = [];
  #askedAt = Number.NEGATIVE_INFINITY;
  #gathering: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;

  /** `taken`: what an earlier run found. It asks nothing before it is switched on. */
  constructor(options: AddressClaimsOptions, taken: Taken = NOBODY) {
    this.#options = options;
    this.#taken = taken;
    this.#keeper = new TakenKeeper({ log: options.log, write: options.keep });
  }

  switch(isOn: boolean): void {
    this.#isOn = isOn;
    if (isOn) this.#askAgain();
    else {
      for (const list of [this.#states, this.#asked, this.#due]) list.clear();
      this.#setTaken(NOBODY);
    }
  }

  /** Addresses that others have, which no container gets; the same object while nothing changed. */
  get taken(): Taken {
    return this.#taken;
  }

  /** News will come. */
  get isAsking(): boolean {
    return [...this.#states.values()].includes('asking');
  }

  /** Those that may be set now; about others the link is asked, if it wasn't. `nics`: whose they are. */
  admit(proxies: readonly NeighbourProxy[], network: HostNetwork, nics: DesiredState['nics']): NeighbourProxy[] {
    if (!this.#isOn) return [...proxies];
    this.#network = network;
    let owners: ReadonlyMap<string, string> | undefined;
    return proxies.filter((proxy) => {
      if (this.#taken.has(proxy.address)) return false;
      const key = proxyKey(proxy);
      if (this.#due.delete(key)) this.#states.set(key, 'claimed');
      const state = this.#states.get(key);
      if (state !== undefined) return state === 'claimed';
      const question = linkQuestion(proxy, network);
      if (question === undefined) return true;
      owners ??= ownersOf(nics);
      this.#states.set(key, 'asking');
      const asked = { ...question, key, veth: owners.get(key) ?? '' };
      this.#asked.set(key, asked);
      this.#ask(asked);
      return false;
    });
  }

  /** What nobody answered for, and waits to be set. */
  get due(): Iterable<NeighbourProxy> {
    return this.#due.values();
  }

  /** Without those that aren't set yet. */
  spare(proxies: readonly NeighbourProxy[]): NeighbourProxy[] {
    if (!this.#isOn) return [...proxies];
    return proxies.filter((proxy) => (this.#states.get(proxyKey(proxy)) ?? 'claimed') === 'claimed');
  }

  /** They are wanted no more. @returns those of them that may have been set. */
  leave(proxies: readonly NeighbourProxy[]): NeighbourProxy[] {
    const set = this.spare(proxies);
    for (const key of proxies.map(proxyKey))
      for (const list of [this.#states, this.#asked, this.#due]) list.delete(key);
    return set;
  }

  /** `observed`: ours in the kernel, which nobody is asked about. */
  learn(observed: readonly NeighbourProxy[], wanted: readonly NeighbourProxy[]): void {
    if (!this.#isOn) return;
    const keys = new Set(wanted.map(proxyKey));
    for (const list of [this.#states, this.#asked, this.#due])
      for (const key of list.keys()) if (!keys.has(key)) list.delete(key);
    for (const key of observed.map(proxyKey).filter((one) => keys.has(one))) {
      this.#states.set(key, 'claimed');
      this.#due.delete(key);
    }
  }

  /** Forgets that an address was in use when whoever wanted it has stopped: started again, it asks again. */
  release(veths: Iterable<string>): void {
    if (this.#taken.size === 0) return;
    const running = new Set(veths);
    this.#keepTaken(({ veth }) => running.has(veth));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#gathering);
    clearTimeout(this.#again);
    this.#keeper.stop();
  }

  #ask(asked: Asked): void {
    this.#toAsk.push(asked);
    const wait = Math.max(0, this.#askedAt + GATHER_MS - performance.now());
    this.#gathering ??= setTimeout(() => {
      const questions = this.#toAsk;
      this.#toAsk = [];
      this.#gathering = undefined;
      this.#askedAt = performance.now();
      void this.#claim(questions);
    }, wait);
  }

  async #claim(questions: readonly Asked[]): Promise<void> {
    const onSilence = (): void => {
      const silent = questions.filter(
        (asked) => this.#asked.get(asked.key) === asked && this.#states.get(asked.key) === 'asking',
      );
      for (const { key, address, dev } of silent) {
        this.#states.set(key, 'silent');
        this.#due.set(key, { address, dev });
      }
      if (silent.length > 0) this.#options.onNews();
    };
    await this.#listen(questions, onSilence, ({ key, address, dev }, mac) => {
      const current = this.#asked.get(key);
      // Whoever has stopped meanwhile wants it no more.
      if (current === undefined || this.#taken.has(address)) return;
      // A late answer: the proxy that was set goes with the pass that takes the address from the container.
      if (this.#states.get(key) !== 'claimed') this.#states.delete(key);
      for (const list of [this.#asked, this.#due]) list.delete(key);
      this.#setTaken(new Map([...this.#taken, [address, { dev, mac, veth: current.veth }]]));
      this.#options.onNews();
    });
    // A link that can't be asked claims as before there were questions.
    if (!this.#isStopped) onSilence();
  }

  /** Silence has to last for the whole time here: nobody waits for it, and one lost answer must not give it away. */
  async #claimAgain(): Promise<void> {
    const network = this.#network;
    const asked = new Set(this.#taken.values());
    const answered = new Set<Address>();
    const questions = [...this.#taken].flatMap(([address, { dev }]) =>
      network === undefined ? [] : (linkQuestion({ address, dev }, network) ?? []),
    );
    const isHeard = await this.#listen(
      questions,
      () => undefined,
      ({ address }) => void answered.add(address),
    );
    this.#again = undefined;
    // While it listened.
    if (this.#isStopped) return;
    if (isHeard && this.#keepTaken((taken, address) => !asked.has(taken) || answered.has(address)))
      this.#options.onNews();
    this.#askAgain();
  }

  /** @returns whether the link could be asked. */
  async #listen<Q extends Question>(
    questions: readonly Q[],
    onSilence: () => void,
    onAnswer: (question: Q, mac: string) => void,
  ): Promise<boolean> {
    if (questions.length === 0) return true;
    try {
      await askLink(this.#options.stream, questions, {
        onSilence,
        onAnswer: (question, mac) => {
          if (this.#network === undefined || !isOwnAnswer(mac, this.#network)) onAnswer(question, mac);
        },
      });
      return true;
    } catch (cause) {
      if (this.#isStopped) return false;
      this.#options.log('warning', `whether addresses are in use can't be asked: ${messageOf(cause)}`);
      return false;
    }
  }

  /** @returns whether that are fewer. */
  #keepTaken(isKept: (taken: TakenAddress, address: Address) => boolean): boolean {
    const left = [...this.#taken].filter(([address, taken]) => isKept(taken, address));
    const isFewer = left.length < this.#taken.size;
    if (isFewer) this.#setTaken(new Map(left));
    return isFewer;
  }

  #setTaken(taken: Taken): void {
    if (taken.size === 0 && this.#taken.size === 0) return;
    this.#taken = taken;
    this.#keeper.keep(taken);
    this.#askAgain();
  }

  #askAgain(): void {
    if (this.#taken.size === 0) return;
    const { least, more } = AGAIN_MS;
    this.#again ??= setTimeout(() => void this.#claimAgain(), least + more * Math.random());
  }
}

/** By proxyKey: the veth of the container that is to have it. */
const ownersOf = (nics: DesiredState['nics']): ReadonlyMap<string, string> =>
  new Map(
    [...nics.values()].flatMap(({ proxies, hostVeth }) =>
      proxies.map((proxy): [string, string] => [proxyKey(proxy), hostVeth]),
    ),
  );
