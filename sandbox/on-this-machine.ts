/** `npm start -- --host`: the daemon on this machine itself, after asking. */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { execa } from 'execa';
import { tell } from './narrate.ts';
import { PROGRAM } from './routewall.ts';

/** The daemon's exit status; 1 when nobody agreed. */
export async function runOnThisMachine(): Promise<number> {
  tell('This runs the daemon on this machine itself, until Ctrl-C:');
  tell('  - it reads /etc/routewall and the containers of /var/lib/lxc;');
  tell('  - it loads the nftables tables `inet routewall` and `arp routewall`, which stay when it ends;');
  tell('  - every veth that it does not know, and every container without a policy, gets no traffic at all;');
  tell(
    '  - to take it all back: nft delete table inet routewall; nft delete table arp routewall; where there is one, nft delete table bridge routewall',
  );
  tell(`To see what it would do first: ${PROGRAM} preview`);
  if (!existsSync('/etc/routewall')) tell('There is no /etc/routewall yet: every routed container would be shut.');
  if (!process.stdin.isTTY) {
    tell('Nobody to ask: run it in a terminal.');
    return 1;
  }
  const questions = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await questions.question('Go on? Type yes: ');
  questions.close();
  if (answer.trim() !== 'yes') return 1;
  // A terminal's Ctrl-C reaches the daemon too; this process only waits for it.
  process.on('SIGINT', () => undefined);
  const { exitCode } = await execa(process.execPath, [PROGRAM, 'daemon'], { stdio: 'inherit', reject: false });
  return exitCode ?? 1;
}
