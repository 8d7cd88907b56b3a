/** The end of an announcer, which may come between an announcement and its repetition. */
import { expect, it } from 'vitest';
import { openAnnouncer } from '../../../controller/apply/announcer.ts';
import { veth } from '../states.ts';

it('starts no process again once it is stopped', () => {
  let started = 0;
  const nothing = (): void => undefined;
  const announcer = openAnnouncer(
    () => {
      started += 1;
      return { pid: undefined, write: nothing, onErrorOutput: nothing, onEnd: nothing, kill: nothing };
    },
    () => undefined,
  );
  announcer.send(veth('eth0'), new Uint8Array(1));
  announcer.stop();
  announcer.send(veth('eth0'), new Uint8Array(1));
  expect(started).toBe(1);
});
