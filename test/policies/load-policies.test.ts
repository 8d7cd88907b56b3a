import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkPolicies } from '../../policies/check-policies.ts';
import { type LoadedPolicies, loadPolicies } from '../../policies/load-policies.ts';
import type { PolicyFiles } from '../../policies/policy-files.ts';
import { formatProblem } from '../../policies/problem.ts';
import type { FileContent } from '../../policies/source-text.ts';
import { changeMap } from '../../render/shared-map.ts';
import { book, compileFiles, filesOf, linesOf, problemsOf } from './compile-texts.ts';

const load = (files: Record<string, FileContent>) => loadPolicies(filesOf(files));
const problems = (files: Record<string, FileContent>) => load(files).problems.map((problem) => formatProblem(problem));
const bytes = (...list: number[]) => Uint8Array.from(list);

describe('one bad file harms only its container', () => {
  const denied = Object.assign(new Error('EACCES: permission denied, open'), { code: 'EACCES' });
  test.each<[string, FileContent, string]>([
    ['that cannot be read', denied, '1:1: error: cannot be read: permission denied'],
    ['that is a folder', new Error('it is no regular file'), '1:1: error: cannot be read: it is no regular file'],
    ['that is huge', `#${'x'.repeat(256 * 1024)}`, '1:1: error: too large: 257 KiB; at most 256 KiB are read'],
    ['in Latin-1', bytes(35, 10, 35, 0xe4, 10), '2:2: error: not UTF-8: save the file in that encoding'],
    ['in UTF-16', bytes(0xff, 0xfe, 97, 0), '1:1: error: not UTF-8: save the file in that encoding'],
  ])('a file %s', (_title, content, line) => {
    const files = { 'containers/web.yaml': content, 'containers/other.yaml': 'egress: {default: allow}' };
    expect(problems(files)).toEqual([`containers/web.yaml:${line}`]);
    expect(compileFiles(files).ok).toBe(false);
    expect(compileFiles(files, 'other')).toMatchObject({ ok: true, problems: [] });
  });

  test('a list of a million mistakes tells the first hundred, and is broken', () => {
    const { sets, problems: told } = load({ 'sets/feed.txt': 'no address\n'.repeat(1_000_000) });
    expect(sets.get('feed')?.ok).toBe(false);
    expect(told).toHaveLength(100);
  });

  test('a list of a thousand warnings loses none of its addresses', () => {
    const lines = Array.from({ length: 1000 }, (_, index) => `10.${index >> 8}.${index & 255}.1/24`);
    const { sets } = load({ 'sets/feed.txt': lines.join('\n') });
    expect(sets.get('feed')).toMatchObject({
      ok: true,
      ranges: { 4: [{ first: 10n << 24n, last: (10n << 24n) + 255_999n }] },
    });
  });

  test('two files for one container: neither is guessed to be the right one', () => {
    const files = { 'containers/web.yaml': 'egress: {default: allow}', 'containers/web.json': '{}' };
    const message = 'containers/web.json and containers/web.yaml are for the same thing: keep one of them';
    expect(problems(files)).toEqual([
      `containers/web.json:1:1: error: ${message}`,
      `containers/web.yaml:1:1: error: ${message}`,
    ]);
    expect(compileFiles(files).ok).toBe(false);
  });
});

describe('texts as editors save them', () => {
  const rule = 'egress:\n  rules:\n    - allow: ssh\n      to: hosts\n';
  const line = '4:11: error: "hosts" is no peer: did you mean "host"?';
  test.each<[string, FileContent]>([
    ['with CR LF', rule.replaceAll('\n', '\r\n')],
    ['with a byte order mark', `\uFEFF${rule}`],
    ['as bytes', new TextEncoder().encode(rule)],
    ['as bytes with a byte order mark', new TextEncoder().encode(`\uFEFF${rule}`)],
  ])('%s keep their places', (_title, content) => {
    expect(problemsOf(compileFiles({ 'containers/web.yaml': content }))).toEqual([`containers/web.yaml:${line}`]);
  });
});

describe('JSON', () => {
  test('is a policy too, with places', () => {
    const text = '{\n\t"egress": {\n\t\t"rules": [{ "allow": "shh", "to": "any" }]\n\t}\n}\n';
    expect(problemsOf(compileFiles({ 'containers/web.json': text }))).toEqual([
      'containers/web.json:3:24: error: unknown service "shh": did you mean "ssh"?',
    ]);
  });

  test.each([
    ['{\n  "use": [,]\n}', 'containers/web.json:2:11: error: not valid JSON'],
    ['{"use": ["base"]', 'containers/web.json:1:17: error: not valid JSON'],
    ['use: base', 'containers/web.json:1:1: error: not valid JSON'],
    ['{"use": [], "use": []}', 'containers/web.json:1:13: error: "use" is given twice: first in line 1'],
  ])('%s is refused', (text, line) => {
    expect(problemsOf(compileFiles({ 'containers/web.json': text }))[0]).toContain(line);
  });
});

describe('names of files never become syntax', () => {
  test.each(['a.b', 'x"; flush ruleset', '__proto__', 'constructor', 'mit leer', 'ü', '_x', '$(id)', '-P'])(
    '%s',
    (name) => {
      const compiled = compileFiles({ [`containers/${name}.yaml`]: 'egress: {default: allow, log: true}' }, name);
      expect(compiled).toMatchObject({
        ok: true,
        file: `containers/${name}.yaml`,
        default: { egress: { owner: { container: name } } },
      });
    },
  );

  test.each(['__proto__', 'constructor', 'hasOwnProperty', 'toString'])(
    'the key %s is unknown, whatever it is to JavaScript',
    (key) => {
      const text = `egress: {rules: [{allow: ssh, to: any, ${key}: 1}]}\ninterfaces: {${key}: {egress: {default: allow}}}`;
      const compiled = compileFiles({ 'containers/web.yaml': text });
      expect(problemsOf(compiled)).toEqual([
        expect.stringMatching(`^containers/web.yaml:1:40: error: unknown key "${key}"`),
      ]);
    },
  );

  test('a NIC may have any name', () => {
    const compiled = compileFiles({ 'containers/web.yaml': 'interfaces: {__proto__: {egress: {default: allow}}}' });
    expect(linesOf(compiled.interfaces.get('__proto__')?.egress ?? compiled.default.egress)).toEqual([
      'web.yaml:1 default allow',
    ]);
  });
});

describe('a second load', () => {
  const files = {
    'containers/a.yaml': 'egress: {}',
    'containers/b.yaml': 'egress: {default: allow}',
    'profiles/p.yaml': '',
    'sets/s.txt': '192.0.2.1',
    'services.yaml': 'x: tcp/1',
  };
  const first = load(files);

  test('keeps the identity of what did not change', () => {
    const second = loadPolicies(filesOf({ ...files, 'containers/a.yaml': 'egress: {default: reject}' }), first);
    expect(second.containers.get('a')).not.toBe(first.containers.get('a'));
    expect(second.containers.get('b')).toBe(first.containers.get('b'));
    expect(second.profiles.get('p')).toBe(first.profiles.get('p'));
    expect(second.sets.get('s')).toBe(first.sets.get('s'));
    expect(second.services).toBe(first.services);
  });

  test('forgets what is gone', () => {
    const second = loadPolicies(filesOf({ 'containers/b.yaml': files['containers/b.yaml'] }), first);
    expect([...second.containers.keys(), ...second.profiles.keys(), ...second.sets.keys()]).toEqual(['b']);
    expect(second.services.ownNames).toEqual([]);
  });

  test('knows bytes and errors again', () => {
    const same = { 'containers/a.yaml': bytes(97), 'containers/b.yaml': new Error('no') };
    const again = { 'containers/a.yaml': bytes(97), 'containers/b.yaml': new Error('no') };
    const one = load(same);
    const two = loadPolicies(filesOf(again), one);
    expect(two.containers.get('a')).toBe(one.containers.get('a'));
    expect(two.containers.get('b')).toBe(one.containers.get('b'));
  });
});

describe('sets', () => {
  test('every bad line is named', () => {
    expect(problems({ 'sets/s.txt': '192.0.2.1, 192.0.2.2\n  300.1.1.1 # x\n192.0.2.1/24\n' })).toEqual([
      'sets/s.txt:1:1: error: "192.0.2.1, 192.0.2.2" is no address, prefix or range',
      'sets/s.txt:2:3: error: "300.1.1.1" is no address, prefix or range',
      'sets/s.txt:3:1: warning: "192.0.2.1/24" has host bits: it reads as 192.0.2.0/24',
    ]);
    expect(problems({ 'sets/s.yaml': 'addresses: []' })).toEqual([
      'sets/s.yaml:1:1: error: the file must be a list, not a mapping: each item begins with "- "',
    ]);
    expect(problems({ 'sets/s.yaml': '- 192.0.2.1\n- 7\n- host\n' })).toEqual([
      'sets/s.yaml:2:3: error: an item must be text, not 7: put quotes around it',
    ]);
  });
});

describe('checking the folder', () => {
  test('names each mistake of a shared file once, also where nobody uses it', () => {
    const loaded = load({
      'containers/a.yaml': 'use: base',
      'containers/b.yaml': '\nuse: base',
      'containers/_default.yaml': 'use: bas',
      'profiles/base.yaml': 'egres: {}',
      'profiles/unused.yaml': 'egress: {rules: [{allow: shh, to: any}]}',
    });
    expect(checkPolicies({ loaded, book, now: 0 }).map((problem) => formatProblem(problem, '/etc/routewall/'))).toEqual(
      [
        '/etc/routewall/containers/_default.yaml:1:6: error: unknown profile "bas": did you mean "base"?',
        '/etc/routewall/containers/a.yaml:1:6: error: the profile "base" has errors: see profiles/base.yaml:1',
        '/etc/routewall/containers/b.yaml:2:6: error: the profile "base" has errors: see profiles/base.yaml:1',
        '/etc/routewall/profiles/base.yaml:1:1: error: unknown key "egres": did you mean "egress"?',
        '/etc/routewall/profiles/unused.yaml:1:26: error: unknown service "shh": did you mean "ssh"?',
      ],
    );
  });

  test('what a file holds can not write control characters to a terminal', () => {
    expect(problems({ 'containers/web.yaml': '"a\\n\\e[31m": 1' })).toEqual([
      'containers/web.yaml:1:1: error: unknown key "a??[31m": the keys here are use, mode, until, routes, tables, uplink, gateway, masquerade, publish, egress, ingress, limits, interfaces, strict, expect',
    ]);
  });

  test('profiles do not nest', () => {
    expect(problems({ 'profiles/a.yaml': 'use: b' })).toEqual([
      'profiles/a.yaml:1:1: error: "use" has no place in a profile: profiles don\'t nest',
    ]);
  });
});

describe('from one state of the folder to the next', () => {
  const FILES = [
    ...[
      'containers/web.yaml',
      'containers/web.yml',
      'containers/web.json',
      'containers/db.yaml',
      'containers/_default.yaml',
    ],
    ...['profiles/base.yaml', 'profiles/base.json', 'profiles/other.yaml', 'sets/s.txt', 'services.yaml', 'notes.md'],
  ];
  const change = fc.tuple(fc.constantFrom(...FILES), fc.constantFrom('{}\n', 'egress: 1\n', '192.0.2.1\n', undefined));
  const shown = ({ containers, profiles, sets, defaultPolicy, services, problems }: LoadedPolicies): unknown => {
    const documents = [containers, profiles].map(
      (all) => new Map([...all].map(([name, { file, ok, policy, problems: own }]) => [name, [file, ok, policy, own]])),
    );
    return [documents, [...sets.keys()].sort(), defaultPolicy?.file, services.problems, problems];
  };

  test('is what a fresh load makes of it, and what did not change stays the same object', () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 10 }), (steps) => {
        let files: PolicyFiles = new Map();
        let loaded = loadPolicies(files);
        for (const changes of steps) {
          const before = loaded;
          const touched = new Set(changes.map(([path]) => path.replace(/[.][^.]*$/, '')));
          files = changeMap(files, changes);
          loaded = loadPolicies(files, before);
          expect(shown(loaded)).toEqual(shown(loadPolicies(files)));
          for (const [name, document] of loaded.containers)
            if (!touched.has(`containers/${name}`)) expect(document).toBe(before.containers.get(name));
        }
      }),
      { numRuns: 300 },
    );
  });
});
