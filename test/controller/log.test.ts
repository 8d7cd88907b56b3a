import { expect, it } from 'vitest';
import { messageOf, openLog, renderEntry, sayTogether } from '../../controller/log.ts';
import { MESSAGE_IDS } from '../../controller/log-event.ts';

it('tells an error with all its causes, and anything else as it is', () => {
  const root = new Error('no such device');
  expect(messageOf(new Error('ip', { cause: new Error('route add', { cause: root }) }))).toBe(
    'ip: route add: no such device',
  );
  expect(messageOf(new Error('refused: no', { cause: new Error('no') }))).toBe('refused: no');
  expect([messageOf('text'), messageOf(undefined)]).toEqual(['text', 'undefined']);
});

const journal = (): never => expect.unreachable('no line here has fields');

it('tells the journal what a line is about, in fields that no container can forge', () => {
  expect(renderEntry('info', 'web: enforced', { EVENT: 'enforced', CONTAINER: 'web\nPRIORITY=0' })).toBe(
    `MESSAGE=web: enforced\nMESSAGE_ID=${MESSAGE_IDS.enforced}\nPRIORITY=6\nSYSLOG_IDENTIFIER=routewall\n` +
      'ROUTEWALL_EVENT=enforced\nROUTEWALL_CONTAINER=web\\nPRIORITY=0\n',
  );
});

it('keeps a message on one line, with the priority that journald takes or with time and level', async () => {
  const said: string[] = [];
  const write = process.stderr.write;
  process.stderr.write = (text) => said.push(String(text)) > 0;
  try {
    openLog({ journal, debug: false }).log('error', 'web\n<0>forged');
    openLog({ journal, debug: false }).log('debug', 'silent');
    openLog({ journal: undefined, debug: true }).log('debug', 'heard');
  } finally {
    process.stderr.write = write;
  }
  expect(said).toEqual(['<3>web\\n<0>forged\n', expect.stringMatching(/^\d{4}-\d\d-\d\dT\S+Z debug: heard\n$/)]);
});

it('writes what is said together as one text, whatever happens meanwhile', () => {
  const { log } = openLog({ journal, debug: false });
  const said: string[] = [];
  const write = process.stderr.write;
  process.stderr.write = (text) => said.push(String(text)) > 0;
  try {
    const failing = (): void => {
      for (const line of ['one', 'two']) log('info', line);
      throw new Error('no third');
    };
    expect(() => sayTogether(failing)).toThrow('no third');
    sayTogether(() => undefined);
    log('info', 'three');
  } finally {
    process.stderr.write = write;
  }
  expect(said).toEqual(['<6>one\n<6>two\n', '<6>three\n']);
});

it('loses lines that nobody takes for long, and tells how many once somebody does', () => {
  const { log } = openLog({ journal: undefined, debug: false });
  const [write, descriptor] = [process.stderr.write, Object.getOwnPropertyDescriptor(process.stderr, 'writableLength')];
  const said: string[] = [];
  let waiting = 2 ** 21;
  process.stderr.write = (text) => said.push(String(text)) > 0;
  Object.defineProperty(process.stderr, 'writableLength', { configurable: true, get: () => waiting });
  try {
    for (const line of ['one', 'two']) log('info', line);
    waiting = 0;
    for (const line of ['three', 'four']) log('info', line);
  } finally {
    process.stderr.write = write;
    Reflect.deleteProperty(process.stderr, 'writableLength');
    if (descriptor !== undefined) Object.defineProperty(process.stderr, 'writableLength', descriptor);
  }
  expect(said.map((line) => line.replace(/^\S+ /, ''))).toEqual([
    'warning: log: 2 lines are lost, since nobody took those before\n',
    'info: three\n',
    'info: four\n',
  ]);
});
