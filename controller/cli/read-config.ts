/** The main configuration as the command line asks for it. */
import { dirname } from 'node:path';
import { defaultConfig, type ParsedConfig, parseConfig } from '../../policies/config.ts';
import { isMissing, isStrict, readWholeFile } from '../../policies/read-file.ts';
import { maxStructuredBytes } from '../../policies/source-text.ts';
import { CliError, EXIT } from './exit.ts';
import type { SharedOptions } from './options.ts';

type ConfigOptions = Pick<SharedOptions, 'configFile' | 'configIsExplicit' | 'lxcPaths' | 'shown'>;

/** @throws CliError where a file that was asked for isn't there. */
export async function readConfig(options: ConfigOptions): Promise<ParsedConfig> {
  const { config, ...rest } = await readFromFile(options);
  const { lxcPaths } = options;
  return { config: config === undefined || lxcPaths === undefined ? config : { ...config, lxcPaths }, ...rest };
}

async function readFromFile({ configFile, configIsExplicit, shown }: ConfigOptions): Promise<ParsedConfig> {
  try {
    const options = { maxBytes: maxStructuredBytes, strict: isStrict(), folders: [dirname(configFile)] };
    return parseConfig(shown.config, readWholeFile(configFile, options));
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    if (!configIsExplicit) return { config: defaultConfig, problems: [] };
    throw new CliError(EXIT.usage, `--config ${shown.config}: there is no such file`, { cause });
  }
}
