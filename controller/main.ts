/** The program `routewall`. */
import { processIo } from './cli/io.ts';
import { runCommandLine } from './cli/program.ts';

const io = processIo();
process.exitCode = await runCommandLine(process.argv.slice(2), io);
await io.end();
