/** Rules of iptables as a script for sh: for people to read, and for a boot without Node. */
import type { XtStep } from '../../render/iptables/xt-transaction.ts';
import { heredoc, type XtCommands, xtCommand } from './xt-tools.ts';

/**
 * Does nothing where our rules are. What one step fails at keeps no other from being taken, and the status tells of it:
 * a host that is shut for IPv6 alone is better than one that isn't shut at all.
 */
export function xtScript(variant: XtCommands, steps: readonly XtStep[]): string {
  const jumps = ([4, 6] as const).flatMap((family) => [
    `${xtCommand(variant, family, '')} -w -t raw -C PREROUTING -j RW-ANTISPOOF`,
    `${xtCommand(variant, family, '')} -w -C INPUT -j RW-INPUT`,
  ]);
  return [
    'failed=0',
    "trap 'exit $failed' EXIT",
    `if { ${jumps.join(' && ')}; } >/dev/null 2>&1; then exit 0; fi`,
    ...xtScriptLines(variant, steps),
    '',
  ].join('\n');
}

/** To stand behind such a script. */
export const xtScriptLines = (variant: XtCommands, steps: readonly XtStep[]): string[] =>
  steps.flatMap((step) => stepText(variant, step).split('\n'));

function stepText(variant: XtCommands, step: XtStep): string {
  switch (step.tool) {
    case 'ipset':
      return heredoc('ipset -exist restore', step.lines, OR_FAILED);
    case 'restore':
      return heredoc(`${xtCommand(variant, step.family, '-restore')} --noflush -w`, step.lines, OR_FAILED);
    case 'arptables':
      return step.lines.map((line) => arpLine(arptables(variant), line)).join('\n');
  }
}

/** What is there already is made anew: nobody flushes arptables along with the others. */
function arpLine(command: string, line: string): string {
  const [, chain] = /^-N (\S+)$/.exec(line) ?? [];
  if (chain !== undefined) return `${command} ${line} 2>/dev/null || ${command} -F ${chain}${OR_FAILED}`;
  const [, jump] = /^-I (INPUT .*)$/.exec(line) ?? [];
  return `${jump === undefined ? '' : `${command} -D ${jump} 2>/dev/null; `}${command} ${line}${OR_FAILED}`;
}

const OR_FAILED = ' || failed=1';

const arptables = (variant: XtCommands): string => (variant === 'system' ? 'arptables' : `arptables-${variant}`);
