// Holds the import directions of docs/architecture.md; fails too when the tool looked at suspiciously few modules.
import { cruise } from 'dependency-cruiser';

const layers = {
  watchers: ['watchers'],
  render: ['render'],
  policies: ['policies', 'render'],
  controller: ['controller', 'watchers', 'policies', 'render'],
  sandbox: ['sandbox'],
};

/** Packages that have one home each. */
const homes = {
  chokidar: '^watchers/',
  'dbus-next': '^(watchers|controller)/',
  nanoevents: '^(watchers/events|controller/daemon)',
  execa: '^(watchers/line-process|controller/commands/run)[.]ts$|^(sandbox|test|bench)/',
  'json-schema-to-typescript': '^scripts/',
};

const forbidden = [
  { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
  ...Object.entries(layers).map(([from, allowed]) => ({
    name: `${from}-imports-only-${allowed.join('+')}`,
    severity: 'error',
    from: { path: `^${from}/` },
    to: { path: '^(watchers|render|policies|controller|sandbox|test|bench)/', pathNot: `^(${allowed.join('|')})/` },
  })),
  ...Object.entries(homes).map(([name, home]) => ({
    name: `${name}-has-one-home`,
    severity: 'error',
    from: { pathNot: home },
    to: { path: `node_modules/${name}/` },
  })),
];

const { output } = await cruise([...Object.keys(layers), 'test'], {
  ruleSet: { forbidden },
  validate: true,
  doNotFollow: { path: 'node_modules' },
  tsPreCompilationDeps: true,
  tsConfig: { fileName: 'tsconfig.json' },
  enhancedResolveOptions: { extensions: ['.ts', '.mjs', '.js', '.json'] },
});

const modules = output.modules.filter((module) => /^(watchers|render|policies|controller)\//.test(module.source));
for (const { rule, from, to } of output.summary.violations) console.error(`${rule.name}: ${from} -> ${to}`);
console.log(`imports: ${modules.length} modules, ${output.summary.violations.length} violations`);
if (modules.length < 20 || output.summary.violations.length > 0) process.exitCode = 1;
