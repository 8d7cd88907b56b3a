/** By what the kernel is read and written. */
import type { IpChannel } from '../commands/ip-channel.ts';
import type { Run } from '../commands/run.ts';
import type { KernelMarks } from '../kernel/kernel-marks.ts';
import type { Log } from '../log.ts';
import type { AddressClaims } from '../probe/address-claims.ts';
import type { Announcer } from './announcer.ts';
import type { Backend } from './backend.ts';
import type { RememberSysctls } from './sysctl-memory.ts';

export interface KernelPorts {
  readonly backend: Backend;
  readonly ip: IpChannel;
  readonly announcer: Announcer;
  readonly run: Run;
  /** For what only reads; `run` without it. */
  readonly read?: Run;
  readonly log: Log;
  /** Told what is about to be changed; without it nobody will put it back. */
  readonly rememberSysctls?: RememberSysctls;
  /** Who is asked before a proxy is set. */
  readonly claims: AddressClaims;
  /** Without them each resync compares everything. */
  readonly marks?: KernelMarks;
}
