/**
 * Which veths a container has while LXC can't be asked: its monitor answers nobody while it waits for a hook,
 * so that a pass which waited for it, and a hook which waited for that pass, would wait for each other.
 */
import type { InterfaceName } from '../../render/names.ts';
import type { Run } from '../commands/run.ts';
import {
  hasNamedLink,
  linkExists,
  type Runtime,
  type RuntimeQuestion,
  readRuntime,
  STOPPED,
} from './container-runtime.ts';
import { type Hint, readHinted } from './hinted-runtime.ts';

export interface RuntimeReaderOptions {
  readonly run: Run;
  /** The monitor answered after all: the container is to be read again. Without it, it is waited for. */
  readonly onLate?: ((container: { readonly lxcPath: string; readonly name: string }) => void) | undefined;
}

/** One container that is slow to start must not keep all others waiting. */
const PATIENCE_MS = 500;
/** For all that run when the daemon begins: those without an answer by then lose the rules that the kernel still has for them. */
const FIRST_PATIENCE_MS = 5_000;

export class RuntimeReader {
  readonly #options: RuntimeReaderOptions;
  readonly #hints = new Map<string, Hint>();
  /** What the kernel confirmed: the pass that waits for the monitor, and the one that the hook waits for, need it asked once. */
  readonly #confirmed = new WeakMap<Hint, Runtime>();
  /** The kernel is being asked, and takes its time. */
  readonly #asked = new Map<Hint, Promise<void>>();
  /** The last reading went on without what the kernel says of these. */
  readonly #unconfirmed = new WeakSet<Hint>();
  /** By container id: what ends the waits for the monitor when a hook speaks. */
  readonly #arrivals = new Map<string, Set<() => void>>();
  /** By container id: answers that came too late for their pass. */
  readonly #late = new Map<string, Runtime>();
  /** By container id: veths that are about to go. */
  readonly #leaving = new Map<string, Set<string>>();
  /** By container id: links of whose end the kernel told since the last reading; a renamed one seems to exist a moment longer. */
  readonly #gone = new Map<string, Set<string>>();
  /** By container id: how far LXC has told that its end is. */
  readonly #ending = new Map<string, 'STOPPING' | 'STOPPED'>();
  /** By container id: LXC told of a start since its links were found. */
  readonly #restarted = new Set<string>();
  /** By the clock of `performance.now()`; `undefined` before anybody was asked about. */
  #firstUntil: number | undefined;

  constructor(options: RuntimeReaderOptions) {
    this.#options = options;
  }

  /** A hook says that the container is starting; readings that wait for its monitor go on with what it says. */
  hint(id: string, hint: Hint): void {
    this.#leaving.delete(id);
    this.#late.delete(id);
    this.#ending.delete(id);
    this.#hints.set(id, hint);
    for (const resume of this.#arrivals.get(id) ?? []) resume();
  }

  /** A hook says that the veth is about to go; until then nothing claims it. */
  release(id: string, veth: string): void {
    this.#hints.delete(id);
    const leaving = this.#leaving.get(id) ?? new Set();
    this.#leaving.set(id, leaving.add(veth));
  }

  /** The kernel told of a link that the container has. */
  noteLink(id: string, name: string, deleted: boolean): void {
    const gone = this.#gone.get(id) ?? new Set();
    if (deleted) this.#gone.set(id, gone.add(name));
    else gone.delete(name);
  }

  /** All containers that ran when the daemon began have been asked about; from now on only starting ones are. */
  endFirst(): void {
    this.#firstUntil = 0;
  }

  /** LXC told the container's state. */
  noteState(id: string, state: string): void {
    // What a hook said is of this start, though LXC's own word comes behind it.
    if (state === 'STARTING' && !this.#hints.has(id)) this.#restarted.add(id);
    if (state === 'STOPPED') this.#restarted.delete(id);
    if (state === 'STOPPING' || state === 'STOPPED') this.#ending.set(id, state);
    else if (state !== 'ABORTING' && state !== 'EXITED') this.#ending.delete(id);
    // It can be asked from now on.
    if (state !== 'STARTING' && state !== 'STOPPING' && state !== 'EXITED') {
      this.#hints.delete(id);
      this.#leaving.delete(id);
    }
  }

  /** What was told of its end. */
  forgetEnd(id: string): void {
    this.#ending.delete(id);
  }

  /** LXC told that it is stopped, and of no start since: a link of its may be left, as where a connection keeps its network alive. */
  isOver(id: string): boolean {
    return this.#ending.get(id) === 'STOPPED';
  }

  /**
   * What is known of it without asking: it ends, as LXC told, and no link is left that was its own, as the kernel says. Whoever
   * starts under its name is told of.
   */
  ended({ container, before }: Pick<RuntimeQuestion, 'container' | 'before'>): Runtime | undefined {
    const ending = this.#ending.get(container.id);
    if (ending === undefined || before === undefined || before.state === 'STARTING') return undefined;
    // Started anew, the kernel may tell of its link before LXC tells of it.
    if (!hasLostAll(before, this.#gone.get(container.id)) || hasNamedLink(container, () => false)) return undefined;
    if (ending === 'STOPPED') return STOPPED;
    return before.veths.size === 0 ? undefined : { state: ending, veths: new Map() };
  }

  /** `renewed`: the question again, by the container's configuration as it is now; `undefined` where it is gone. */
  async read(asked: RuntimeQuestion, renewed: () => RuntimeQuestion | undefined): Promise<Runtime> {
    const { id } = asked.container;
    const ended = this.#hints.has(id) ? undefined : this.ended(asked);
    const gone = this.#gone.get(id);
    this.#gone.delete(id);
    const linked = gone === undefined || gone.size === 0 ? asked : withoutLinks(asked, gone);
    const question = { ...linked, isOver: this.isOver(id), isRestarted: this.#restarted.has(id) };
    const leaving = this.#leaving.get(id);
    if (leaving !== undefined) return { state: 'STOPPING', veths: remaining(question.before, leaving) };
    const hint = this.#hints.get(id);
    if (hint !== undefined) {
      this.#unconfirmed.delete(hint);
      const hinted = this.#stillTrue(hint) ?? (await this.#confirm(question, hint));
      if (hinted !== undefined) {
        this.#restarted.delete(id);
        return hinted;
      }
      // The question may be older than the hook: a container can be made anew under its name, with other NICs.
      const now = renewed();
      if (now !== undefined && (now.lxc !== question.lxc || this.#hints.get(id) !== hint))
        return await this.read(now, renewed);
      this.#hints.delete(id);
    }
    if (ended !== undefined) {
      this.#late.delete(id);
      return ended;
    }
    const late = this.#late.get(id);
    if (late !== undefined && this.#late.delete(id)) return late;
    return await this.#ask(question, renewed);
  }

  /** What was read of it isn't all: a hook waits for the next reading. */
  unsettle(id: string): void {
    const hint = this.#hints.get(id);
    if (hint !== undefined) this.#unconfirmed.add(hint);
  }

  /** Until the kernel has said, or failed to say, whether a hook is right. @returns whether the last reading went on without that. */
  async settled(id: string): Promise<boolean> {
    const hint = this.#hints.get(id);
    if (hint === undefined || !this.#unconfirmed.has(hint)) return false;
    await this.#asked.get(hint);
    return true;
  }

  /** Where that takes long, everybody else goes on, and the container is read again by and by. */
  async #confirm(question: RuntimeQuestion, hint: Hint): Promise<Runtime | undefined> {
    const { run, onLate } = this.#options;
    const notYet = (): Runtime => {
      this.#unconfirmed.add(hint);
      return question.before ?? { state: 'STARTING', veths: new Map() };
    };
    if (this.#asked.has(hint)) return notYet();
    const asked = readHinted(run, question, hint).then((hinted) => {
      if (hinted !== undefined) this.#confirmed.set(hint, hinted);
      return hinted;
    });
    if (onLate === undefined) return await asked;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), PATIENCE_MS);
    });
    const first = await Promise.race([asked, late]).finally(() => clearTimeout(timer));
    if (first !== 'late') return first;
    const ended = asked
      .then(() => undefined)
      .catch(() => undefined)
      .finally(() => {
        this.#asked.delete(hint);
        onLate(question);
      });
    this.#asked.set(hint, ended);
    return notYet();
  }

  #stillTrue(hint: Hint): Runtime | undefined {
    const confirmed = this.#confirmed.get(hint);
    return confirmed !== undefined && [...confirmed.veths.values()].every(linkExists) ? confirmed : undefined;
  }

  async #ask(question: RuntimeQuestion, renewed: () => RuntimeQuestion | undefined): Promise<Runtime> {
    const { run, onLate } = this.#options;
    const { id } = question.container;
    const ending = this.#ending.get(id);
    const asked = readRuntime(run, question).then((runtime) => {
      if (this.#ending.get(id) === ending && runtime.veths.size > 0) this.#restarted.delete(id);
      return runtime;
    });
    if (onLate === undefined) return await asked;
    const interruption = this.#interruption(id);
    const first = await Promise.race([asked, interruption.promise]).finally(interruption.end);
    if (first !== undefined) return first;
    if (this.#hints.has(id)) {
      // Nobody waits for the monitor any more, whatever becomes of it.
      asked.catch(() => undefined);
      const now = renewed();
      return now === undefined ? STOPPED : await this.read(now, renewed);
    }
    void asked
      .then((runtime) => {
        // What LXC told since is younger.
        if (this.#ending.get(id) === ending) this.#late.set(id, runtime);
      })
      .catch(() => undefined)
      .finally(() => onLate(question));
    return question.before ?? { state: 'STARTING', veths: new Map() };
  }

  /** Resolves when a hook has spoken for the container, or when the monitor had its time. */
  #interruption(id: string): { readonly promise: Promise<undefined>; readonly end: () => void } {
    let resume = (): void => undefined;
    const promise = new Promise<undefined>((resolve) => {
      resume = () => resolve(undefined);
    });
    const now = performance.now();
    this.#firstUntil ??= now + FIRST_PATIENCE_MS;
    const timer = setTimeout(resume, Math.max(PATIENCE_MS, this.#firstUntil - now));
    const arrivals = this.#arrivals.get(id) ?? new Set();
    this.#arrivals.set(id, arrivals.add(resume));
    const end = (): void => {
      clearTimeout(timer);
      arrivals.delete(resume);
      if (arrivals.size === 0) this.#arrivals.delete(id);
    };
    return { promise, end };
  }
}

const withoutLinks = (question: RuntimeQuestion, gone: ReadonlySet<string>): RuntimeQuestion => {
  const { before, exists = linkExists } = question;
  const left = before && new Map([...before.veths].filter(([, veth]) => !gone.has(veth)));
  return {
    ...question,
    before: before && left && { ...before, veths: left },
    exists: (name) => !gone.has(name) && exists(name),
  };
};

const remaining = (before: Runtime | undefined, leaving: ReadonlySet<string>): ReadonlyMap<string, InterfaceName> =>
  new Map([...(before?.veths ?? [])].filter(([, veth]) => !leaving.has(veth) && linkExists(veth)));

const hasLostAll = ({ veths }: Runtime, gone: ReadonlySet<string> = new Set()): boolean =>
  [...veths.values()].every((veth) => gone.has(veth) || !linkExists(veth));
