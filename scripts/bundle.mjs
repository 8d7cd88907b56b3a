// node scripts/bundle.mjs ENTRY OUTFILE: one file of a test's own, bundled as the program is.
import { build } from 'esbuild';
import { WHOLE } from './bundles.mjs';

const [entry, outfile] = process.argv.slice(2);
await build({ ...WHOLE, entryPoints: [entry], outfile, metafile: false, legalComments: 'none' });
