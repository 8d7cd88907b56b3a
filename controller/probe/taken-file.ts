/** Addresses in use by others, where commands and the next run of the daemon find them. There is a file while there are any. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Holder } from '../../policies/taken-addresses.ts';
import { type Address, parseAddress } from '../../render/address.ts';
import { parseInterfaceName } from '../../render/names.ts';

/** `veth`: the host's side of the container that was to have it. */
export interface TakenAddress extends Holder {
  readonly veth: string;
}

export type Taken = ReadonlyMap<Address, TakenAddress>;

const FILE = 'addresses-in-use';

/** `ADDRESS UPLINK MAC VETH` a line, in the run folder: as new with each boot as what containers have. */
export function writeTaken(runDirectory: string, taken: Taken): void {
  const file = join(runDirectory, FILE);
  if (taken.size === 0) {
    rmSync(file, { force: true });
    return;
  }
  const lines = [...taken].map(([address, { dev, mac, veth }]) => `${address} ${dev} ${mac} ${veth}\n`);
  writeFileSync(`${file}.new`, lines.join(''));
  renameSync(`${file}.new`, file);
}

/** What of it makes sense; nothing where there is no file. */
export function readTaken(runDirectory: string): Taken {
  const lines = textOf(join(runDirectory, FILE)).split('\n');
  return new Map(
    lines.flatMap((line): [Address, TakenAddress][] => {
      const [text = '', name = '', mac = '', veth = ''] = line.split(' ');
      const [address, dev] = [parseAddress(text), parseInterfaceName(name)];
      return address === undefined || dev === undefined ? [] : [[address, { dev, mac, veth }]];
    }),
  );
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
