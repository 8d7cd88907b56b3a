/** The kernel's side of a panic: the tables that seal, brought from what it holds to what it shall hold. */
import { isDeepStrictEqual } from 'node:util';
import { parsePanicListing } from '../../render/listing.ts';
import {
  deleteSeal,
  diffSeals,
  isSameButNames,
  PANIC_TABLE,
  renderSeal,
  type Seal,
  sealTables,
} from '../../render/panic.ts';
import type { NftTable, TableFamily, TableFlag } from '../../render/ruleset.ts';
import type { Refusal } from '../apply/backend.ts';
import { abortable, reading } from '../commands/reading.ts';
import { CommandError, type Run, runOrThrow } from '../commands/run.ts';

export interface PanicPorts {
  readonly commit: (commands: readonly string[]) => Promise<Refusal | undefined>;
  readonly run: Run;
  readonly flags: readonly TableFlag[];
  /** The process that owns the tables that are made now: those that another one left are made anew. */
  readonly pid: () => number | undefined;
}

/** What seals, whichever backend serves. */
export interface SealTable {
  /** What is sealed before and after stays sealed throughout. @throws Error when the kernel refuses. */
  hold(seal: Seal | undefined): Promise<void>;
  /** Compares with the kernel, as long as that may take, and puts back what differs. @returns whether something did. */
  verify(seal: Seal | undefined, signal?: AbortSignal): Promise<boolean>;
}

const FAMILIES: readonly TableFamily[] = ['inet', 'arp', 'bridge'];
const listOf = (family: TableFamily): string[] => ['-s', 'list', 'table', family, PANIC_TABLE];

type Listed = ReadonlyMap<TableFamily, NftTable>;

/** `seal`: `undefined` where what the tables hold isn't known. */
interface Held {
  readonly tables: readonly TableFamily[];
  readonly seal: Seal | undefined;
}

const holding = (seal: Seal | undefined): Held => ({ tables: seal === undefined ? [] : sealTables(seal), seal });

export class PanicTable implements SealTable {
  readonly #ports: PanicPorts;
  /** What the kernel holds by our own doing. */
  #held: Held | undefined;
  #madeBy: number | undefined;

  constructor(ports: PanicPorts) {
    this.#ports = ports;
  }

  /** What is sealed before and after stays sealed throughout. @throws Error when the kernel refuses. */
  async hold(seal: Seal | undefined): Promise<void> {
    const held = this.#held ?? { tables: [...(await this.#list(FAMILIES)).keys()], seal: undefined };
    const commands = this.#change(held, seal);
    if (commands.length === 0) {
      this.#held = holding(seal);
      return;
    }
    this.#held = undefined;
    const refusal = await this.#ports.commit(commands);
    if (refusal !== undefined) throw new Error(`tables ${PANIC_TABLE}: ${refusal.message}`);
    this.#held = holding(seal);
    this.#madeBy = this.#ports.pid();
  }

  /** Compares with the kernel and puts back what differs. @returns whether something did. */
  async verify(seal: Seal | undefined, signal?: AbortSignal): Promise<boolean> {
    const isKnown = this.#held !== undefined;
    const run = abortable(this.#ports.run, signal);
    const isRight = await reading(async () => {
      const listed = await this.#look(seal, run);
      return seal === undefined ? listed.size === 0 : await this.#isSame(listed, seal, run);
    });
    if (!isRight) this.#held = undefined;
    else if (this.#ports.flags.length === 0) this.#held = holding(seal);
    await this.hold(seal);
    return isKnown && !isRight;
  }

  #change({ tables, seal: before }: Held, seal: Seal | undefined): string[] {
    const gone = deleteSeal(tables);
    if (seal === undefined) return gone;
    // Its owner went with the process that made it, and anyone may delete a table without one.
    const isOurs = this.#ports.flags.length === 0 || this.#madeBy === this.#ports.pid();
    if (before === undefined || !isOurs || !isSameButNames(before, seal))
      return [...gone, ...renderSeal(seal, this.#ports.flags)];
    return diffSeals(before, seal);
  }

  /** Without a panic a resync asks for one table only: all of them are made in one transaction. */
  async #look(seal: Seal | undefined, run: Run): Promise<Listed> {
    const isQuiet = seal === undefined && this.#held?.tables.length === 0;
    if (isQuiet && (await this.#list(['inet'], run)).size === 0) return new Map();
    return await this.#list(FAMILIES, run);
  }

  async #list(families: readonly TableFamily[], run = this.#ports.run): Promise<Listed> {
    const asked = await Promise.all(
      families.map(async (family): Promise<[TableFamily, NftTable | undefined]> => {
        const { stdout, stderr, exitCode } = await run('nft', listOf(family));
        if (exitCode === 0) return [family, parsePanicListing(stdout, family)];
        if (stderr.includes('No such file or directory')) return [family, undefined];
        throw new CommandError(`nft ${listOf(family).join(' ')}: ${stderr.trim()}`);
      }),
    );
    return new Map(asked.flatMap(([family, table]) => (table === undefined ? [] : [[family, table]])));
  }

  /** In nft's own words, which only nft knows: the same loaded in a network namespace that exists only for this. */
  async #isSame(listed: Listed, seal: Seal, run: Run): Promise<boolean> {
    const families = sealTables(seal);
    if (families.join() !== [...listed.keys()].join()) return false;
    const lists = families.map((family) => `nft ${listOf(family).join(' ')}`);
    const text = await runOrThrow(run, 'unshare', ['--net', 'sh', '-c', ['nft -f -', ...lists].join(' && ')], {
      input: renderSeal(seal).join('\n'),
    });
    return families.every((family) => {
      const { flags: _, ...is } = listed.get(family) ?? NOTHING;
      const { flags: __, ...shall } = parsePanicListing(text, family) ?? NOTHING;
      return isDeepStrictEqual(is, shall);
    });
  }
}

const NOTHING: NftTable = { sets: new Map(), chains: new Map() };
