import { expect, it } from 'vitest';
import { createLog, messageOf } from '../../controller/log.ts';

it('tells an error with all its causes, and anything else as it is', () => {
  const root = new Error('no such device');
  expect(messageOf(new Error('ip', { cause: new Error('route add', { cause: root }) }))).toBe(
    'ip: route add: no such device',
  );
  expect([messageOf('text'), messageOf(undefined)]).toEqual(['text', 'undefined']);
});

it('keeps a message on one line, with the priority that journald takes or with time and level', async () => {
  const said: string[] = [];
  const write = process.stderr.write;
  process.stderr.write = (text) => said.push(String(text)) > 0;
  try {
    createLog({ journal: true, debug: false })('error', 'web\n<0>forged');
    createLog({ journal: true, debug: false })('debug', 'silent');
    createLog({ journal: false, debug: true })('debug', 'heard');
  } finally {
    process.stderr.write = write;
  }
  expect(said).toEqual(['<3>web\\n<0>forged\n', expect.stringMatching(/^\d{4}-\d\d-\d\dT\S+Z debug: heard\n$/)]);
});
