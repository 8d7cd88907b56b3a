/** The controller's two seams, run and start, inside a network namespace of the test's own. */
import {
  type Resident,
  type Run,
  run,
  type StartResident,
  type StartTalker,
  type StreamLines,
  startResident,
  startTalker,
  streamLines,
} from '../../controller/commands/run.ts';
import type { Namespace } from '../../sandbox/namespace.ts';

const enter = ({ name }: Namespace): string => `--net=/run/netns/${name}`;

export const runIn =
  (namespace: Namespace): Run =>
  (command, args, options) =>
    run('nsenter', [enter(namespace), command, ...args], options);

/** `started` collects what was started, for a test that kills it. */
export const startIn =
  (namespace: Namespace, started: Resident[] = []): StartResident =>
  (command, args) => {
    const child = startResident('nsenter', [enter(namespace), command, ...args]);
    started.push(child);
    return child;
  };

/** As `startIn`. */
export const talkIn =
  (namespace: Namespace, started: Resident[] = []): StartTalker =>
  (command, args) => {
    const child = startTalker('nsenter', [enter(namespace), command, ...args]);
    started.push(child);
    return child;
  };

export const streamIn =
  (namespace: Namespace): StreamLines =>
  (command, args, input) =>
    streamLines('nsenter', [enter(namespace), command, ...args], input);
