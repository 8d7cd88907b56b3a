import { describe, expect, test } from 'vitest';
import { catalogue } from '../../policies/catalogue.ts';
import { describeService } from '../../policies/describe-rule.ts';
import { formatProblem } from '../../policies/problem.ts';
import { catalogueTable, readServiceTable, type ServiceTable } from '../../policies/service-table.ts';
import { isServiceName, parseServiceWord } from '../../policies/services.ts';
import { compileFiles, linesOf, problemsOf } from './compile-texts.ts';

const read = (text: string): ServiceTable => readServiceTable('services.yaml', text);
const meaning = (table: ServiceTable, word: string) => {
  const resolved = table.resolve(word);
  return 'matches' in resolved ? resolved.matches.map(describeService) : resolved.message;
};
const problems = (text: string) => read(text).problems.map((problem) => formatProblem(problem));

describe('the catalogue', () => {
  test.each([...catalogue])('%s', (name, { services, description }) => {
    expect(isServiceName(name)).toBe(true);
    expect(parseServiceWord(name).kind).toBe('name');
    for (const service of services) expect(parseServiceWord(service).kind).toBe('matches');
    expect(description).not.toBe('');
  });

  test.each([
    ['ssh', ['tcp/22']],
    ['dns', ['tcp/53', 'udp/53']],
    ['rsync', ['tcp/873']],
    ['squid', ['tcp/3128']],
    ['http', ['tcp/80']],
    ['https', ['tcp/443']],
    ['ntp', ['udp/123']],
    ['postgresql', ['tcp/5432']],
    ['ipsec', ['udp/500,4500', 'proto/50', 'proto/51']],
  ])('knows %s', (name, services) => {
    expect(meaning(catalogueTable, name)).toEqual(services);
  });

  test('is sorted, and holds each name once', () => {
    const names = [...catalogue.keys()];
    expect(names.length).toBeGreaterThan(90);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('own services', () => {
  test('stand for words, names of the catalogue and each other', () => {
    const table = read('backup: [rsync, tcp/9102-9103]\nall: [backup, ping, metrics]\nmetrics: tcp/9100\n');
    expect(table.problems).toEqual([]);
    expect(meaning(table, 'backup')).toEqual(['tcp/873', 'tcp/9102-9103']);
    expect(meaning(table, 'all')).toEqual([
      'tcp/873',
      'tcp/9102-9103',
      'icmp4/echo-request',
      'icmp6/echo-request',
      'tcp/9100',
    ]);
  });

  test('win over the catalogue with a warning, and may extend its entry', () => {
    expect(meaning(read('ssh: [ssh, tcp/2222]'), 'ssh')).toEqual(['tcp/22', 'tcp/2222']);
    expect(problems('ssh: tcp/2222')).toEqual([
      'services.yaml:1:1: warning: "ssh" takes the place of the catalogue\'s ssh (tcp/22)',
    ]);
  });

  test.each<[string, string[]]>([
    [
      'a: b\nb: [c, tcp/1]\nc: a\n',
      [
        '3:4: error: "a" refers to itself',
        '2:5: error: the service "c" is broken: see services.yaml:3',
        '1:4: error: the service "b" is broken: see services.yaml:2',
      ],
    ],
    ['mine: [shh]', ['1:8: error: unknown service "shh": did you mean "ssh"?']],
    ['tcp: tcp/1', ['1:1: error: "tcp" is a word of the policy language: choose another name']],
    ['any: tcp/1', ['1:1: error: "any" is a word of the policy language: choose another name']],
    [
      'Mine: tcp/1',
      ['1:1: error: "Mine" can\'t be a service\'s name: use a-z, 0-9, "-", "_", "+" and ".", a letter first'],
    ],
    ['mine: []', ['1:7: error: "mine" is empty: give at least one']],
    ['mine: 80', ['1:7: error: "mine" must be text or a list, not 80: put quotes around it']],
  ])('%j', (text, lines) => {
    expect(problems(text)).toEqual(lines.map((line) => `services.yaml:${line}`));
  });

  test('a broken entry harms only those that use it', () => {
    const files = {
      'services.yaml': 'good: tcp/1\nbad: tcp/0\n',
      'containers/web.yaml': 'egress: {rules: [{allow: good, to: any}]}',
      'containers/other.yaml': 'egress: {rules: [{allow: bad, to: any}]}',
    };
    expect(linesOf(compileFiles(files).default.egress)[0]).toBe('web.yaml:1 allow tcp/1 to any');
    expect(problemsOf(compileFiles(files, 'other'))).toEqual([
      'containers/other.yaml:1:26: error: the service "bad" is broken: see services.yaml:2',
    ]);
  });

  test('where the file is no YAML, any name might have been its own', () => {
    const files = {
      'services.yaml': 'ssh: tcp/2222: x',
      'containers/web.yaml': 'egress: {rules: [{allow: ssh, to: any}]}',
      'containers/other.yaml': 'egress: {rules: [{allow: tcp/22, to: any}]}',
    };
    expect(problemsOf(compileFiles(files))).toEqual([
      'containers/web.yaml:1:26: error: "ssh" can\'t be looked up: services.yaml has errors',
    ]);
    expect(compileFiles(files, 'other').ok).toBe(true);
  });
});
