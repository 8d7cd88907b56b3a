import { expect, it } from 'vitest';
import { openIpChannel, parseFailures } from '../../../controller/commands/ip-channel.ts';
import type { StartResident } from '../../../controller/commands/run.ts';

// ip -force -batch - (iproute2 6.1): two of our three lines fail, then the word
const OUTPUT = `RTNETLINK answers: File exists
Command failed -:5
Cannot find device "veth9"
Command failed -:6`;

it('pins each message to its line, counted from the start of the process', () => {
  expect(parseFailures(OUTPUT, ['one', 'two', 'three'], 7)).toEqual([
    { line: 'two', message: 'RTNETLINK answers: File exists' },
    { line: 'three', message: 'Cannot find device "veth9"' },
  ]);
});

it('finds nothing where all was done, and nothing in the lines of an earlier text', () => {
  expect(parseFailures('', ['one'], 2)).toEqual([]);
  expect(parseFailures('late\nCommand failed -:1', ['two'], 3)).toEqual([]);
});

/** An ip that knows the interfaces that were there when it began, and counts its lines. */
function fakeIp(present: () => ReadonlySet<string>) {
  let starts = 0;
  const start: StartResident = () => {
    starts += 1;
    const known = new Set(present());
    let said: (text: string) => void = () => undefined;
    let count = 0;
    return {
      pid: starts,
      write: (text) => {
        for (const line of text.trimEnd().split('\n')) {
          count += 1;
          const [, dev] = / dev (\S+)/.exec(line) ?? [];
          if (line.startsWith('routewall-done'))
            said(`Object "${line}" is unknown, try "ip help".\nCommand failed -:${count}\n`);
          else if (dev !== undefined && !known.has(dev))
            said(`Cannot find device "${dev}"\nCommand failed -:${count}\n`);
        }
      },
      onErrorOutput: (listener) => {
        said = listener;
      },
      onEnd: () => undefined,
      kill: () => undefined,
    };
  };
  return { start, starts: () => starts };
}

it('tries what it could not set once more with a new ip, which knows the interfaces of now', async () => {
  const present = new Set(['veth1']);
  const { start, starts } = fakeIp(() => present);
  const channel = openIpChannel(start, () => true);
  expect(await channel.run(['route replace 198.51.100.1/32 dev veth1'])).toEqual([]);
  present.add('veth2');
  expect(await channel.run(['route replace 198.51.100.2/32 dev veth2', 'route del 192.0.2.1/32 dev veth9'])).toEqual([
    { line: 'route del 192.0.2.1/32 dev veth9', message: 'Cannot find device "veth9"' },
  ]);
  expect(starts()).toBe(2);
  expect(await channel.run(['route replace 192.0.2.1/32 dev veth9'])).toEqual([
    { line: 'route replace 192.0.2.1/32 dev veth9', message: 'Cannot find device "veth9"' },
  ]);
});

it('does not start a new ip for what could not be removed', async () => {
  const { start, starts } = fakeIp(() => new Set());
  const channel = openIpChannel(start, () => true);
  expect(await channel.run(['route del 192.0.2.1/32 dev veth9'])).toHaveLength(1);
  expect(await channel.run([])).toEqual([]);
  expect(starts()).toBe(1);
});

it('takes nothing for done when more failed than is told', async () => {
  const start: StartResident = () => {
    let said: (text: string) => void = () => undefined;
    return {
      pid: 1,
      write: (text) => {
        const word = text.trimEnd().split('\n').at(-1);
        said('Cannot find device "veth9"\nCommand failed -:1\n'.repeat(100_000));
        said(`Object "${word}" is unknown, try "ip help".\nCommand failed -:2\n`);
      },
      onErrorOutput: (listener) => {
        said = listener;
      },
      onEnd: () => undefined,
      kill: () => undefined,
    };
  };
  const channel = openIpChannel(start, () => true);
  await expect(channel.run(['route del 192.0.2.1/32 dev veth9'])).rejects.toThrow('more failures than can be told');
});
