/** The host's links as they were read: all of them, or by name those of which the kernel told. */
import type { HostLink } from '../../policies/host-network.ts';
import { abortable, patiently, reading, type Wait } from '../commands/reading.ts';
import type { Run } from '../commands/run.ts';
import { readLink, readLinks } from '../kernel/observe.ts';
import type { DirtyParts } from '../pass/dirty.ts';

/** What of links concerns NICs on bridges. */
export interface Attached {
  readonly bridges: ReadonlySet<string>;
  readonly macs: ReadonlySet<string>;
}

export interface HostLinksOptions {
  readonly run: Run;
  /** Whether it is the host-side veth of a container. */
  readonly isVeth: (name: string) => boolean;
  /** `undefined` where no NIC is on a bridge. */
  readonly attached: () => Attached | undefined;
  /** All of them, as somebody reads them already: what is known first. */
  readonly first?: Promise<readonly HostLink[]> | undefined;
}

/** Among ten thousand, all take some three hundred times as long as one. */
const NAMES_AT_ONCE = 8;

export class HostLinks {
  readonly #options: HostLinksOptions;
  #links: readonly HostLink[] | undefined;

  constructor(options: HostLinksOptions) {
    this.#options = options;
  }

  /** The same list while nothing that counts has changed. */
  get all(): readonly HostLink[] {
    return this.#links ?? [];
  }

  /** `which`: those that may have changed. `wait`: for what is known already. @returns whether all were read. @throws Unread */
  async read(which: DirtyParts['links'], wait: Wait): Promise<boolean> {
    const { isVeth, attached } = this.#options;
    const known = this.#links;
    if (known === undefined) return await this.#readAll(patiently);
    if (which === 'all') return await this.#readAll(wait);
    const isAnyBridged = attached() !== undefined;
    const names = [...which].filter((name) => isAnyBridged || !isVeth(name));
    if (names.length > NAMES_AT_ONCE) return await this.#readAll(wait);
    if (names.length > 0) await this.#readNamed(known, names, wait);
    return false;
  }

  async #readAll(wait: Wait): Promise<boolean> {
    const { run, first } = this.#options;
    const known = this.#links;
    const read = (signal?: AbortSignal) =>
      known === undefined && first !== undefined ? first : readLinks(abortable(run, signal));
    const links = await wait((signal) => reading(() => read(signal)));
    if (links === undefined) return false;
    if (known === undefined || JSON.stringify(links) !== JSON.stringify(known)) this.#links = links;
    return true;
  }

  async #readNamed(known: readonly HostLink[], names: readonly string[], wait: Wait): Promise<void> {
    const read = (signal?: AbortSignal) =>
      reading(() => Promise.all(names.map((name) => readLink(abortable(this.#options.run, signal), name))));
    const found = (await wait(read))?.filter((link) => link !== undefined);
    if (found === undefined) return;
    const before = known.filter(({ name }) => names.includes(name));
    const present = new Map(found.map((link) => [link.name, link]));
    const kept = before.flatMap(({ name }) => present.get(name) ?? []);
    const added = found.filter((link) => !kept.includes(link));
    if (this.#textOf(before) === this.#textOf([...kept, ...added])) return;
    const inPlace = known.flatMap((link) => (names.includes(link.name) ? (present.get(link.name) ?? []) : link));
    this.#links = [...inPlace, ...added];
  }

  /** Whether these say of the host what is known. */
  areKnown(links: readonly HostLink[]): boolean {
    return this.#textOf(links) === this.#textOf(this.all);
  }

  #textOf(links: readonly HostLink[]): string {
    const attached = this.#options.attached();
    return JSON.stringify(
      links.flatMap((link) => (this.#options.isVeth(link.name) ? vethFacts(link, attached) : link)),
    );
  }
}

/**
 * What counts of a container's veth, which comes and goes: addresses of the host on it; and for those on bridges, that it is a
 * port of another bridge, or has a hardware address of theirs.
 */
function vethFacts({ name, master, mac, addresses }: HostLink, attached: Attached | undefined): readonly unknown[] {
  const isElsewhere = master !== undefined && attached?.bridges.has(master) === false;
  return [
    ...addresses.filter(({ scope }) => scope !== 'link'),
    ...(isElsewhere ? [[name, master]] : []),
    ...(attached?.macs.has(mac) === true ? [[name, mac]] : []),
  ];
}
