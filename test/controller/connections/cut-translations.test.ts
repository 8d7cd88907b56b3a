/** Which live flows a change of published ports ends. */
import { describe, expect, it } from 'vitest';
import {
  changedTargets,
  createTranslationCutter,
  isMistranslated,
} from '../../../controller/connections/cut-translations.ts';
import { parseTrackedFlow } from '../../../controller/connections/tracked-flows.ts';
import { parseAddress } from '../../../render/address.ts';
import type { DesiredState } from '../../../render/desired.ts';
import type { Publication } from '../../../render/translation.ts';
import { eventually } from '../../../sandbox/eventually.ts';
import { certain, nicOf, stateOf } from '../states.ts';

/** The host's port leads to that of container NUMBER. */
function published(number: number, protocol: 6 | 17, port: number, toPort: number, count = 1): DesiredState {
  const nic = nicOf(number, 80);
  const publication: Publication = {
    protocol,
    on: certain(parseAddress('192.0.2.1')),
    ports: { first: port, last: port + count - 1 },
    to: certain(parseAddress(`198.51.100.${number}`)),
    toPort,
    origin: { file: 'web.yaml', line: 1 },
  };
  return stateOf({ ...nic, nat: { masquerade: {}, publications: [publication] } });
}

const NOTHING = stateOf(nicOf(1, 80));

describe('a flow', () => {
  const to1 = '4 6 203.0.113.9 198.51.100.1 80 - 01 192.0.2.1 8080';
  const foreign = '4 6 203.0.113.9 198.51.100.77 80 - 01 192.0.2.1 8080';
  const direct = '4 6 203.0.113.9 198.51.100.1 80 - 01';
  const own = '4 6 203.0.113.9 192.0.2.1 8080 - 01';
  const datagram = '4 17 203.0.113.9 192.0.2.1 53 - 01';
  it.each([
    ['is cut when its port is published no more', published(1, 6, 8080, 80), NOTHING, to1, true],
    ['is cut when its port leads to another', published(1, 6, 8080, 80), published(1, 6, 8080, 81), to1, true],
    ['is left when its port leads where it led', published(1, 6, 8080, 80), published(1, 6, 8079, 79, 3), to1, false],
    ['is left when others translate it', published(1, 6, 8080, 80), NOTHING, foreign, false],
    ['is left when it was sent to the container itself', published(1, 6, 8080, 80), NOTHING, direct, false],
    ["is left when it is a connection of the host's own", NOTHING, published(1, 6, 8080, 80), own, false],
    [
      'of datagrams is cut when it began before its port was published',
      NOTHING,
      published(1, 17, 53, 53),
      datagram,
      true,
    ],
    ['of datagrams is cut at the start too', undefined, published(1, 17, 53, 53), datagram, true],
    [
      'of datagrams to the host is left when the port was published',
      published(1, 17, 53, 53),
      NOTHING,
      datagram,
      false,
    ],
  ])('%s', (_, before, after, line, expected) => {
    expect(isMistranslated(changedTargets(before, after), parseTrackedFlow(line))).toBe(expected);
  });
});

it('cuts after the kernel could not be asked, by where ports led before', async () => {
  const [removed, logged]: [string[], string[]] = [[], []];
  let tries = 0;
  const flows = {
    read: async function* () {
      tries += 1;
      if (tries === 1) throw new Error('netlink: Cannot allocate memory');
      yield [
        '4 6 203.0.113.9 198.51.100.1 80 - 01 192.0.2.1 8080',
        '4 6 203.0.113.9 198.51.100.1 82 - 02 192.0.2.1 8080',
      ].map(parseTrackedFlow);
    },
    remove: async (handles: readonly string[]) => void removed.push(...handles),
    forget: async () => 0,
  };
  const cutter = createTranslationCutter(flows, (_, text) => void logged.push(text));
  cutter.cut(published(1, 6, 8080, 80), published(1, 6, 8080, 81));
  cutter.cut(published(1, 6, 8080, 81), published(1, 6, 8080, 82));
  await eventually('it is cut', () => removed.length > 0);
  await cutter.idle();
  expect(removed).toEqual(['01']);
  expect(logged[0]).toMatch(/: netlink: Cannot allocate memory; trying again in \d+ ms$/);
});
