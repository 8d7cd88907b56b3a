/** A private bus with the policy of a system bus, in a temporary folder. */
import { chmod, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Child, startChild } from '../../sandbox/child.ts';
import { makeFolder } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { type RunResult, run, runForResult } from '../../sandbox/run.ts';

export interface TestBus {
  readonly address: string;
  /** What makes everything below speak to it. */
  readonly env: Readonly<Record<string, string>>;
  /** `call('Admit', 'ssu', 'web', '', '0')`, of our object, by root; throws for an error. The reply's only string. */
  call(method: string, ...signatureAndArguments: readonly string[]): Promise<string>;
  /** Any command with this bus as its system bus; `user` is a numeric id. */
  run(command: readonly [string, ...string[]], options?: { readonly user?: number }): Promise<RunResult>;
  /** A line for each signal (or call) that anyone sends from now on, in busctl's JSON. */
  listen(type?: 'signal' | 'method_call'): Promise<Child>;
  stop(): Promise<void>;
  /** Listens again under the same address. */
  start(): Promise<void>;
}

export const NAME = 'org.routewall.Controller1';
export const OBJECT = '/org/routewall/Controller1';
/** Of no account on this machine. */
export const NOBODY = 65534;

/** As packaged systems have it: calls need a hole in the policy; here everybody may call us, so that our own check shows. */
const renderPolicy = (socket: string): string => `<!DOCTYPE busconfig PUBLIC
 "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>unix:path=${socket}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_destination="${NAME}"/>
  </policy>
  <policy user="root">
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
`;

/** Ready to take connections. Goes at the latest by `cleanUp()`. */
export async function startBus(): Promise<TestBus> {
  const folder = await makeFolder();
  // Another user has to reach the socket.
  await chmod(folder, 0o755);
  const [socket, config] = [join(folder, 'bus'), join(folder, 'bus.conf')];
  const address = `unix:path=${socket}`;
  const env = { DBUS_SYSTEM_BUS_ADDRESS: address };
  await writeFile(config, renderPolicy(socket));
  let daemon: Child | undefined;
  const start = async (): Promise<void> => {
    await rm(socket, { force: true });
    daemon = startChild('dbus-daemon', ['--nofork', '--nopidfile', '--nosyslog', `--config-file=${config}`]);
    await eventually('the bus answers', async () => {
      const { exitCode } = await runForResult('busctl', [`--address=${address}`, 'list'], {});
      return exitCode === 0;
    });
  };
  await start();
  return {
    address,
    env,
    call: async (method, ...rest) => {
      const words = ['--json=short', '--auto-start=no', 'call', NAME, OBJECT, NAME, method, ...rest];
      const { stdout } = await run('busctl', ['--system', ...words], { env });
      if (stdout.trim() === '') return '';
      const reply: unknown = JSON.parse(stdout);
      return replyText(reply);
    },
    run: async ([command, ...args], { user = 0 } = {}) => {
      const as = user === 0 ? [] : ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
      const [first = command, ...more] = [...as, command, ...args];
      return await runForResult(first, more, { env });
    },
    listen: async (type = 'signal') => {
      const child = startChild('busctl', [`--address=${address}`, '--json=short', 'monitor', `--match=type='${type}'`]);
      await child.waitForLine(/Monitoring/);
      return child;
    },
    stop: async () => void (await daemon?.stop()),
    start,
  };
}

function replyText(reply: unknown): string {
  const data: unknown = typeof reply === 'object' && reply !== null && 'data' in reply ? reply.data : undefined;
  const first: unknown = Array.isArray(data) ? data[0] : undefined;
  return typeof first === 'string' ? first : '';
}
