/** What DNS told for the names of policies, kept across restarts and reboots: a host may start before its resolver does. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Address, parseAddress } from '../../render/address.ts';
import { type DnsAddresses, type DnsName, parseDnsName } from '../../render/dns-name.ts';
import {
  type DnsRecord,
  NOTHING_KNOWN,
  type SeenAddress,
  sameAddresses,
  withoutEnded,
} from '../../watchers/dns-record.ts';
import { createRetryTimes } from '../../watchers/retry-times.ts';
import { asList, asNumber, asText, entriesOf, fieldsOf, orNull, type Placed, parseJson } from '../json-shape.ts';
import { type Log, messageOf } from '../log.ts';
import { unlessLack } from './lack.ts';

const NAME = 'dns-answers.json';

/** New times of the same addresses are written this often: after a crash they count as that much older. */
const SAVE_MS = 600_000;

export class DnsMemory {
  readonly #file: string;
  readonly #log: Log;
  /** By name; the watcher keeps them up to date. */
  readonly records = new Map<string, DnsRecord>();
  #answers: DnsAddresses = new Map();
  #savedAt = 0;
  #saving: Promise<void> = Promise.resolve();
  readonly #retryTimes = createRetryTimes();
  #retry: NodeJS.Timeout | undefined;
  #complaint: string | undefined;

  constructor(stateDirectory: string, log: Log) {
    this.#file = join(stateDirectory, NAME);
    this.#log = log;
  }

  /** Learns what an earlier run kept, as far as it lasts so long. A file that can't be read is as good as none. @throws Error for lack of means to read it. */
  async open(keepSeconds: number): Promise<void> {
    const text = await readFile(this.#file, 'utf8').catch(unlessLack(undefined));
    try {
      const records = text === undefined ? [] : entriesOf(parseJson(text)).map(parseRecord);
      for (const [name, record] of records)
        this.records.set(name, withoutEnded(record, Date.now(), keepSeconds * 1000));
    } catch (cause) {
      this.#log('warning', `${this.#file}: ${messageOf(cause)}; names have no addresses until they are asked about`);
    }
    this.#learn();
  }

  /** The same object as long as no name's addresses are others. */
  get answers(): DnsAddresses {
    return this.#answers;
  }

  /** For the watcher: a server answered, or failed to. */
  note(name: string, record: DnsRecord, before: DnsRecord): void {
    this.#tell(name, record, before);
    const changed = !sameAddresses(before, record);
    if (changed) this.#learn();
    if (changed || Date.now() - this.#savedAt > SAVE_MS) void this.save();
  }

  async save(): Promise<void> {
    this.#savedAt = Date.now();
    this.#saving = this.#saving.then(() => this.#write());
    await this.#saving;
  }

  async #write(): Promise<void> {
    const temporary = `${this.#file}.new`;
    clearTimeout(this.#retry);
    try {
      await writeFile(temporary, `${JSON.stringify(Object.fromEntries(this.records))}\n`, { mode: 0o600 });
      await rename(temporary, this.#file);
      this.#retryTimes.reset();
      this.#complaint = undefined;
    } catch (cause) {
      await rm(temporary, { force: true }).catch(() => undefined);
      this.#complain(messageOf(cause));
      this.#retry = setTimeout(() => void this.save(), this.#retryTimes.next()).unref();
    }
  }

  /** Once for what goes on failing in the same way. */
  #complain(why: string): void {
    if (why !== this.#complaint)
      this.#log('error', `${this.#file} can't be written, so a restart without DNS knows less: ${why}`);
    this.#complaint = why;
  }

  #learn(): void {
    this.#answers = new Map([...this.records].flatMap(addressesOf));
  }

  /** The first failure of a row, and what ends it; each change of the addresses. */
  #tell(name: string, record: DnsRecord, before: DnsRecord): void {
    const count = record.addresses.length;
    if (record.error !== null && before.error !== record.error)
      this.#log('warning', `dns:${name}: ${record.error}; ${count} addresses stay for the time being`);
    if (record.error === null && before.error !== null) this.#log('info', `dns:${name}: answered again`);
    if (sameAddresses(before, record)) return;
    const [old, now] = [before, record].map(({ addresses }) => addresses.map(({ address }) => address));
    const come = now?.filter((address) => old?.includes(address) !== true).map((address) => `+${address}`) ?? [];
    const gone = old?.filter((address) => now?.includes(address) !== true).map((address) => `-${address}`) ?? [];
    this.#log('info', `dns:${name}: ${[...come, ...gone].slice(0, 10).join(' ')}; ${count} addresses`);
  }
}

function addressesOf([text, { addresses }]: [string, DnsRecord]): [DnsName, readonly Address[]][] {
  const name = parseDnsName(text);
  return name === undefined ? [] : [[name, addresses.flatMap(({ address }) => parseAddress(address) ?? [])]];
}

function parseRecord([name, of]: [string, Placed]): [string, DnsRecord] {
  const field = fieldsOf(of);
  const addresses = asList(field('addresses')).map(parseSeen);
  return [
    name,
    {
      ...NOTHING_KNOWN,
      addresses,
      answered: orNull(field('answered'), asNumber),
      next: asNumber(field('next')),
    },
  ];
}

function parseSeen(of: Placed): SeenAddress {
  const field = fieldsOf(of);
  return {
    address: asText(field('address')),
    seen: asNumber(field('seen')),
    ttl: asNumber(field('ttl')),
  };
}
