/** Who may start, as LXC's hook asks it on root's socket and others over D-Bus; each answer is told. */
import { basename } from 'node:path';
import { type AdmissionRequest, type Admitted, admit, type CurrentSession, release } from '../admission.ts';
import { type Log, messageOf } from '../log.ts';

export interface AdmissionOptions {
  readonly session: CurrentSession;
  readonly log: Log;
  /** Whether a pass has ended well: before it there is nothing to judge by. */
  readonly isReady: () => boolean;
  readonly onRefused: (container: string, reason: string) => void;
}

export interface Admissions {
  /** @throws NotReady, and as `admit` */
  admit(request: AdmissionRequest): Promise<Admitted>;
  /** @throws NotReady, and as `release` */
  release(container: string, veth: string): Promise<void>;
}

/** Whoever waits for the first pass asks again. */
export class NotReady extends Error {
  override readonly name = 'NotReady';

  constructor() {
    super('the daemon has not read the host yet');
  }
}

export function createAdmissions({ session, log, isReady, onRefused }: AdmissionOptions): Admissions {
  const requireReady = (): void => {
    if (!isReady()) throw new NotReady();
  };
  return {
    admit: async (request) => {
      requireReady();
      const { container, nics } = await admit(session, request).catch((cause: unknown) => {
        // Whatever the reason: the hook lets nobody start who isn't admitted.
        const [name, reason] = [basename(request.container), messageOf(cause)];
        log('warning', `${name}: may not start: ${reason}`, { EVENT: 'refused', CONTAINER: name });
        onRefused(name, reason);
        throw cause;
      });
      const where =
        nics.map(({ nic, hostVeth }) => `${nic} via ${hostVeth}`).join(', ') || 'none of its interfaces is routed';
      log('info', `${container}: admitted: ${where}`, { EVENT: 'admitted', CONTAINER: container });
      return { container, nics };
    },
    release: async (container, veth) => {
      requireReady();
      await release(session, container, veth);
    },
  };
}
