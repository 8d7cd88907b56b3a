/** Breaks a daemon on purpose (`node --import`): it hears of no policy. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { watch } = fs;
fs.watch = (path, ...rest) =>
  String(path).includes('/policies') ? watch(path, ...rest.slice(0, -1), () => undefined) : watch(path, ...rest);
syncBuiltinESMExports();
