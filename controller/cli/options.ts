/** The options that all commands share, before or after the command word. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type Colours, coloursFor, type Io } from './io.ts';

const DEFAULTS = {
  config: '/etc/routewall/routewall.yaml',
  policies: '/etc/routewall',
  runtimeDirectory: '/run/routewall',
  stateDirectory: '/var/lib/routewall',
} as const;

export interface SharedOptions {
  readonly configFile: string;
  /** A file that was asked for must exist; the default one need not. */
  readonly configIsExplicit: boolean;
  /** Absolute; holds containers/, profiles/, sets/ and services.yaml. */
  readonly policyFolder: string;
  readonly policiesAreExplicit: boolean;
  /** As the user wrote them, for places that the user can open. */
  readonly shown: { readonly config: string; readonly policies: string };
  /** Absolute; in place of the configuration's. */
  readonly lxcPaths: readonly string[] | undefined;
  /** Containers; all of them where empty. */
  readonly names: readonly string[];
  readonly json: boolean;
  /** Stands in for the live host. */
  readonly stateFile: string | undefined;
  readonly runtimeDirectory: string;
  readonly stateDirectory: string;
}

/** What every command gets. */
export interface Invocation {
  readonly io: Io;
  readonly shared: SharedOptions;
  readonly colours: Colours;
  readonly errColours: Colours;
}

const collect = (value: string, before: readonly string[] | undefined): string[] => [...(before ?? []), value];

export function addSharedOptions(program: Command): Command {
  return program
    .option('--config <FILE>', `main configuration (default: ${DEFAULTS.config})`)
    .option('--policies <DIR>', `holds containers/, profiles/, sets/ (default: ${DEFAULTS.policies})`)
    .addOption(
      new Option('-P, --lxc-path <DIR>', 'LXC path in place of the configured ones; repeatable').argParser(collect),
    )
    .addOption(new Option('-n, --name <NAME>', 'only this container; repeatable').argParser(collect))
    .option('--json', 'answer in JSON')
    .option('--state <FILE>', 'JSON that stands in for the live host; preview, denials and learn still ask its kernel')
    .option('--no-color', 'no colours, also on a terminal');
}

interface Raw {
  readonly config?: string;
  readonly policies?: string;
  readonly lxcPath?: string[];
  readonly name?: string[];
  readonly json?: boolean;
  readonly state?: string;
  readonly color: boolean;
}

export function readShared(program: Command, io: Io): Invocation {
  const raw = program.opts<Raw>();
  const path = (file: string): string => resolve(io.folder, file);
  const shared: SharedOptions = {
    configFile: path(raw.config ?? DEFAULTS.config),
    configIsExplicit: raw.config !== undefined,
    policyFolder: path(raw.policies ?? DEFAULTS.policies),
    policiesAreExplicit: raw.policies !== undefined,
    shown: { config: raw.config ?? DEFAULTS.config, policies: raw.policies ?? DEFAULTS.policies },
    lxcPaths: raw.lxcPath?.map(path),
    names: raw.name ?? [],
    json: raw.json === true,
    stateFile: raw.state === undefined ? undefined : path(raw.state),
    runtimeDirectory: firstFolder(io.env['RUNTIME_DIRECTORY'], DEFAULTS.runtimeDirectory),
    stateDirectory: firstFolder(io.env['STATE_DIRECTORY'], DEFAULTS.stateDirectory),
  };
  return { io, shared, colours: coloursFor(io.out, io, raw.color), errColours: coloursFor(io.err, io, raw.color) };
}

/** systemd separates several by colons. */
const firstFolder = (value: string | undefined, fallback: string): string => value?.split(':')[0] || fallback;
