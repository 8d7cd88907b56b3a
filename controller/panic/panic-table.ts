/** The kernel's side of a panic: the table that seals, brought from what it holds to what it shall hold. */
import { isDeepStrictEqual } from 'node:util';
import { parsePanicListing } from '../../render/listing.ts';
import { addToSeal, DELETE_SEAL, PANIC_TABLE, renderSeal, type Seal, takeFromSeal } from '../../render/panic.ts';
import type { NftTable, TableFlag } from '../../render/ruleset.ts';
import type { Refusal } from '../backend.ts';
import { CommandError, type Run, runOrThrow } from '../run.ts';

export interface PanicPorts {
  readonly commit: (commands: readonly string[]) => Promise<Refusal | undefined>;
  readonly run: Run;
  /** Of the table, and whose process that makes it: a table that another one left is made anew. */
  readonly flags: readonly TableFlag[];
  readonly pid: () => number | undefined;
}

/** What seals, whichever backend serves. */
export interface SealTable {
  /** What is sealed before and after stays sealed throughout. @throws Error when the kernel refuses. */
  hold(seal: Seal | undefined): Promise<void>;
  /** Compares with the kernel and puts back what differs. @returns whether something did. */
  verify(seal: Seal | undefined): Promise<boolean>;
}

const LIST = ['-s', 'list', 'table', 'inet', PANIC_TABLE];

export class PanicTable implements SealTable {
  readonly #ports: PanicPorts;
  /** What the kernel holds by our own doing; `null`: not known. */
  #held: Seal | undefined | null = null;
  #madeBy: number | undefined;

  constructor(ports: PanicPorts) {
    this.#ports = ports;
  }

  /** What is sealed before and after stays sealed throughout. @throws Error when the kernel refuses. */
  async hold(seal: Seal | undefined): Promise<void> {
    const held = this.#held === null ? await this.#look() : { isThere: this.#held !== undefined, seal: this.#held };
    const commands = this.#change(held, seal);
    if (commands.length === 0) {
      this.#held = seal;
      return;
    }
    this.#held = null;
    const refusal = await this.#ports.commit(commands);
    if (refusal !== undefined) throw new Error(`table inet ${PANIC_TABLE}: ${refusal.message}`);
    this.#held = seal;
    this.#madeBy = this.#ports.pid();
  }

  /** Compares with the kernel and puts back what differs. @returns whether something did. */
  async verify(seal: Seal | undefined): Promise<boolean> {
    const [isKnown, listing] = [this.#held !== null, await this.#list()];
    const isRight =
      seal === undefined ? listing === undefined : listing !== undefined && (await this.#isSame(listing, seal));
    if (!isRight) this.#held = null;
    else if (this.#ports.flags.length === 0) this.#held = seal;
    await this.hold(seal);
    return isKnown && !isRight;
  }

  #change(held: { readonly isThere: boolean; readonly seal: Seal | undefined }, seal: Seal | undefined): string[] {
    const gone = held.isThere ? [DELETE_SEAL] : [];
    if (seal === undefined) return gone;
    const { names: before, ...rest } = held.seal ?? { names: undefined };
    const { names, ...wanted } = seal;
    // Its owner went with the process that made it, and anyone may take away what nobody owns.
    const isOurs = this.#ports.flags.length === 0 || this.#madeBy === this.#ports.pid();
    if (before === undefined || !isOurs || !isDeepStrictEqual(rest, wanted))
      return [...gone, ...renderSeal(seal, this.#ports.flags)];
    return [
      ...addToSeal([...names].filter((name) => !before.has(name))),
      ...takeFromSeal([...before].filter((name) => !names.has(name))),
    ];
  }

  async #look(): Promise<{ isThere: boolean; seal: undefined }> {
    return { isThere: (await this.#list()) !== undefined, seal: undefined };
  }

  async #list(): Promise<NftTable | undefined> {
    const { stdout, stderr, exitCode } = await this.#ports.run('nft', LIST);
    if (exitCode === 0) return parsePanicListing(stdout);
    if (stderr.includes('No such file or directory')) return undefined;
    throw new CommandError(`nft ${LIST.join(' ')}: ${stderr.trim()}`);
  }

  /** In nft's own words, which only nft knows: the same loaded in a network namespace that exists only for this. */
  async #isSame(listing: NftTable, seal: Seal): Promise<boolean> {
    const text = await runOrThrow(
      this.#ports.run,
      'unshare',
      ['--net', 'sh', '-c', `nft -f - && nft ${LIST.join(' ')}`],
      { input: renderSeal(seal).join('\n') },
    );
    const { flags: _, ...is } = listing;
    const { flags: __, ...shall } = parsePanicListing(text) ?? listing;
    return isDeepStrictEqual(is, shall);
  }
}
