/** What nft 1.0.6 and iproute2 6.1 say about a text that they refuse, as recorded from both. */
import { describe, expect, it } from 'vitest';
import { parseFailures } from '../../controller/commands/ip-channel.ts';
import { parseRefusal } from '../../controller/commands/nft-channel.ts';

const FILE = '/run/routewall/transaction.nft';
const commands = ['add table inet routewall', 'add rule inet routewall c accept', 'add chain inet routewall d'];

describe('a refusal of nft', () => {
  it('names the command by its line', () => {
    const output = [
      'In file included from <cmdline>:1:1-41:',
      `${FILE}:2:25-25: Error: No such file or directory`,
      commands[1],
      '                        ^',
    ].join('\n');
    expect(parseRefusal(output, FILE, commands)).toEqual({
      command: commands[1],
      message: 'No such file or directory',
    });
  });

  it('has the first of several', () => {
    const output = `${FILE}:1:1-3: Error: first\n${FILE}:3:1-3: Error: second`;
    expect(parseRefusal(output, FILE, commands)).toEqual({ command: commands[0], message: 'first' });
  });

  it('is the whole first line where no place is named', () => {
    expect(
      parseRefusal('netlink: Error: cache initialization failed: Operation not permitted\nmore', FILE, commands),
    ).toEqual({
      command: undefined,
      message: 'netlink: Error: cache initialization failed: Operation not permitted',
    });
  });

  it('names no command for a line that we did not write', () => {
    expect(parseRefusal(`${FILE}:9:1-3: Error: unexpected end of file`, FILE, commands)).toEqual({
      command: undefined,
      message: 'unexpected end of file',
    });
  });
});

describe('failures of ip', () => {
  const lines = ['route del 192.0.2.1/32', 'link set dev u up', 'neigh del proxy 192.0.2.1 dev gone'];

  it('are counted from the end, since ip counts from its own start', () => {
    const output = [
      'RTNETLINK answers: No such process',
      'Command failed -:1001',
      'Cannot find device "gone"',
      'Command failed -:1003',
    ].join('\n');
    expect(parseFailures(output, lines, 1004)).toEqual([
      { line: lines[0], message: 'RTNETLINK answers: No such process' },
      { line: lines[2], message: 'Cannot find device "gone"' },
    ]);
  });

  it('join a message of several lines, and are none where nothing was said', () => {
    expect(parseFailures('Error: one.\nMore.\nCommand failed -:2', lines, 4)).toEqual([
      { line: lines[1], message: 'Error: one. More.' },
    ]);
    expect(parseFailures('', lines, 4)).toEqual([]);
    expect(parseFailures('Error: of another text\nCommand failed -:99', lines, 104)).toEqual([]);
  });
});
