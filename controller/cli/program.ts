/** The command line: every command with its options; what a command does is loaded when it is asked for. */
import { Argument, Command, CommanderError, Option } from 'commander';
import type { Family } from '../../render/address.ts';
import { type Act, example } from './command.ts';
import { CliError, describeFailure, EXIT } from './exit.ts';
import { FILES, globalOptionsOf, honouring, isOffline, requireHonoured } from './honoured-options.ts';
import type { Io } from './io.ts';
import { addSharedOptions, readShared } from './options.ts';
import { addPanic } from './panic-command.ts';
import { addRecordingCommands } from './recording-commands.ts';
import { addRender } from './render-command.ts';
import { addRevisionCommands } from './revision-commands.ts';
import { VERSION } from './version.ts';

/** Never throws; answers the exit status. `args`: without the program itself. */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const ran: Ran = { exitCode: EXIT.fine };
  const program = createProgram(io, ran);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return ran.exitCode;
  } catch (cause) {
    if (cause instanceof CommanderError) return cause.exitCode === 0 ? EXIT.fine : EXIT.usage;
    const failure = describeFailure(cause, { isRoot: io.isRoot, offline: isOffline(ran.command) });
    const { errColours } = readShared(program, io);
    io.err.write(`${errColours.red('routewall:')} ${failure.message}\n`);
    return failure.exitCode;
  }
}

/** What came of the line. */
interface Ran {
  command?: Command;
  exitCode: number;
}

function createProgram(io: Io, ran: Ran): Command {
  const program = new Command('routewall');
  const act: Act = async (work) => {
    ran.exitCode = await work(readShared(program, io));
  };
  program
    .description('routed firewall controller for LXC hosts')
    .version(VERSION, '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: (text) => io.err.write(text),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions: globalOptionsOf })
    .hook('preAction', (_program, command) => {
      ran.command = command;
      requireHonoured(program, command);
    })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nExit status: 0 fine, 1 the answer is no or the input has errors, 2 wrong usage, 3 the system refused.',
    );
  addSharedOptions(program);
  for (const add of [addDaemon, addCheck, addList, addRender, addPreview, addExplain, addStatus, addMap, addImport])
    add(program, act);
  addRecordingCommands(program, act);
  addRevisionCommands(program, act);
  addPanic(program, act);
  addDoctor(program, act);
  addHook(program, act);
  return program;
}

function addDaemon(program: Command, act: Act): void {
  honouring(program.command('daemon'), {
    options: FILES,
    instead: 'serves the live host, with all of its containers',
  })
    .description('the service: keeps the kernel in the state that the files describe')
    .option('--once', 'reconcile once and leave')
    .option('--debug', 'log more')
    .addHelpText('after', example('routewall daemon --once'))
    .action((flags: { once?: boolean; debug?: boolean }) =>
      act(async (invocation) => {
        const { runDaemonCommand } = await import('./daemon.ts');
        return runDaemonCommand(invocation, { once: flags.once === true, debug: flags.debug === true });
      }),
    );
}

function addCheck(program: Command, act: Act): void {
  honouring(program.command('check'), {
    options: [...FILES, 'name', 'json', 'state'],
    isOffline: true,
  })
    .description('validate the configuration and all policies, or just the files named; every error with its place')
    .argument('[FILE...]', 'policies, sets, services.yaml, routewall.yaml, or LXC configurations')
    .option('--expect-file <FILE>', 'and what must hold between any two ends, all policies taken together')
    .addHelpText(
      'after',
      '\nAlso told: rules that can never match, with the rules before them in their file that take all that they are for.',
    )
    .addHelpText(
      'after',
      example(
        'routewall check',
        'routewall check /etc/routewall/containers/tinderbox.yaml',
        'routewall check --expect-file fleet.yaml',
      ),
    )
    .action((files: string[], flags: { expectFile?: string }) =>
      act(async (invocation) => (await import('./check.ts')).runCheck(invocation, files, flags.expectFile)),
    );
}

function addList(program: Command, act: Act): void {
  honouring(program.command('list'), {
    options: [...FILES, 'name', 'json', 'state'],
    isOffline: true,
  })
    .description('what is known of each container: NICs, addresses, policy, problems')
    .addHelpText('after', example('routewall list', 'routewall list -n tinderbox --json'))
    .action(() => act(async (invocation) => (await import('./list.ts')).runList(invocation)));
}

function addPreview(program: Command, act: Act): void {
  honouring(program.command('preview'), {
    options: [...FILES, 'name', 'json', 'state'],
  })
    .description(
      "what would change in the kernel: the ruleset as a diff in nft's own words, routes, proxies, and flows",
    )
    .option('--exit-code', 'exit with 1 if anything would change')
    .addHelpText(
      'after',
      '\nAt the end it tells in words which flows change, and which lines decided before and decide then, as in\n' +
        '  web: from internet https now dropped by web.yaml:2 (was allowed by web.yaml:7)\n' +
        'A change that alters no flow, such as a new name or another order of rules, has no such line.\n' +
        '-n limits what is said of flows; the ruleset is compared whole.',
    )
    .addHelpText('after', example('routewall preview', 'routewall preview --policies ./draft --exit-code'))
    .action((flags: { exitCode?: boolean }) =>
      act(async (invocation) => {
        const { runPreview } = await import('./preview.ts');
        return runPreview(invocation, { exitCode: flags.exitCode === true });
      }),
    );
}

const IN_FORCE = 'by the policies that are in force, not by the files as they are saved; for root';

interface ExplainRaw {
  readonly inForce?: boolean;
  readonly from: string;
  readonly to: string;
  readonly source?: string;
  readonly 4?: boolean;
  readonly 6?: boolean;
}

function addExplain(program: Command, act: Act): void {
  honouring(program.command('explain'), {
    options: [...FILES, 'json', 'state'],
    isOffline: true,
    instead: 'is about the flow from --from to --to alone',
  })
    .description('the verdict about a flow, and the path to it through every chain and rule; 0 if it is allowed')
    .argument('SERVICE', 'as in a policy, with exact ports: tcp/873, udp/53, icmp/echo-request, ssh')
    .requiredOption('--from <PEER>', 'container:NAME, host, or an address')
    .requiredOption('--to <PEER>', 'container:NAME, host, or an address')
    .option('--source <ADDRESS>', 'what the sender takes for its address, if not its own')
    .addOption(new Option('-4', 'only IPv4').conflicts('6'))
    .addOption(new Option('-6', 'only IPv6'))
    .option('--in-force', IN_FORCE)
    .addHelpText(
      'after',
      '\nOne answer for each family that both ends have, and for each packet that the service stands for; the exit status is\n' +
        'about all of them. In JSON: all in `answers`, the first one at the top too, and in `lastGood` the policy files that\n' +
        'have errors, in whose place the last good ones answered.',
    )
    .addHelpText(
      'after',
      example(
        'routewall explain --from container:tinderbox --to host tcp/873',
        'routewall explain --from 203.0.113.80 --to container:web https --json',
      ),
    )
    .action((service: string, flags: ExplainRaw) =>
      act(async (invocation) => {
        const family: Family | undefined = flags[4] === true ? 4 : flags[6] === true ? 6 : undefined;
        const { from, to, source, inForce = false } = flags;
        const { runExplain } = await import('./explain.ts');
        return runExplain(invocation, { from, to, service, family, source, inForce });
      }),
    );
}

function addStatus(program: Command, act: Act): void {
  honouring(program.command('status'), {
    options: [...FILES, 'name', 'json'],
    instead: 'is about what this host enforces',
  })
    .description('what is enforced and since when, what is wrong, and what differs; 0 if all is well')
    .addHelpText('after', example('routewall status', 'routewall status -n tinderbox'))
    .action(() => act(async (invocation) => (await import('./status.ts')).runStatus(invocation)));
}

function addMap(program: Command, act: Act): void {
  honouring(program.command('map'), {
    options: [...FILES, 'name', 'json', 'state'],
    isOffline: true,
  })
    .description('who can reach whom with what, as a table, as Graphviz DOT, or as a picture')
    .addOption(
      new Option('--format <FORMAT>', 'what to make of it')
        .choices(['table', 'dot', 'svg'] as const)
        .default('table' as const),
    )
    .option('-o, --output <FILE>', 'write it there')
    .option('--in-force', IN_FORCE)
    .addHelpText('after', '\nContainers with equal policies are one line and one node; -n keeps a container apart.')
    .addHelpText('after', example('routewall map', 'routewall map --format svg -o map.svg', 'routewall map -n web'))
    .action((flags: { format: 'table' | 'dot' | 'svg'; output?: string; inForce?: boolean }) =>
      act(async (invocation) => {
        const { runMap } = await import('./map.ts');
        return runMap(invocation, { format: flags.format, output: flags.output, inForce: flags.inForce === true });
      }),
    );
}

function addImport(program: Command, act: Act): void {
  honouring(program.command('import'), {
    options: ['name', 'json'],
    instead: 'reads the file that it is given, and nothing of a host',
  })
    .description('a policy that means what another firewall allows; a line for each thing that no policy can say')
    .addArgument(new Argument('<PEER>', 'whose file it is').choices(['incus', 'proxmox'] as const))
    .argument('<FILE>', "an Incus network ACL's YAML, or a Proxmox guest's or cluster's .fw")
    .option('-o, --output <DIR>', 'write containers/, profiles/ and sets/ there; -n names the container')
    .option('--force', 'write over files that are there')
    .option('--cluster <FILE>', "Proxmox' cluster.fw, for the groups, aliases and IP sets that a guest's file names")
    .addHelpText('after', '\nWhat can not be said makes the policy narrower, never wider, and the exit status 1.')
    .addHelpText(
      'after',
      example(
        'routewall import incus web-acl.yaml',
        'routewall import proxmox 101.fw --cluster cluster.fw -n web -o draft',
      ),
    )
    .action((peer: 'incus' | 'proxmox', file: string, flags: { output?: string; force?: boolean; cluster?: string }) =>
      act(async (invocation) => {
        const { output, force, cluster } = flags;
        const { runImport } = await import('./import.ts');
        return runImport(invocation, { peer, file, output, force: force === true, cluster });
      }),
    );
}

function addDoctor(program: Command, act: Act): void {
  honouring(program.command('doctor'), {
    options: [...FILES, 'name', 'json'],
    instead: 'examines the live host',
  })
    .description(
      'what on this host works against the policies: whom it hits, and the line that mends it; changes nothing',
    )
    .addHelpText(
      'after',
      "\nOther programs' nft chains are asked about what each policy allows. 0 if nothing is found.",
    )
    .addHelpText('after', example('routewall doctor', 'routewall doctor -n web --json'))
    .action(() => act(async (invocation) => (await import('./doctor.ts')).runDoctor(invocation)));
}

/** Only for `--help`: /usr/sbin/routewall starts the script itself, without Node. */
function addHook(program: Command, act: Act): void {
  honouring(program.command('hook'), {
    options: [],
    instead: 'is what LXC calls',
  })
    .description("for LXC's script.up, script.down and lxc.hook.start-host: no container starts without its rules")
    .argument('[ARGUMENT...]', "LXC's own")
    .addHelpText('after', example('lxc.net.0.script.up = /usr/lib/routewall/hook'))
    .action(() =>
      act(async () => {
        throw new CliError(EXIT.usage, 'hook: LXC calls /usr/lib/routewall/hook (packaging/hook/routewall-hook)');
      }),
    );
}
