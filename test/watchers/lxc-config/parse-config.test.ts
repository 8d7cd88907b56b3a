import { describe, expect, it } from 'vitest';
import { parseLxcConfig } from '../../../watchers/lxc-config/parse-config.ts';
import { CONFIG, memoryFiles, parseText, tellProblems } from './memory-files.ts';

describe('a container configuration', () => {
  it('tells everything that a routed NIC has, with the place of each address', () => {
    const config = parseText(
      [
        'lxc.uts.name = web',
        'lxc.net.0.type = veth',
        'lxc.net.0.flags = up',
        'lxc.net.0.name = eth0',
        'lxc.net.0.veth.pair = veth-web',
        'lxc.net.0.veth.mode = router',
        'lxc.net.0.link = uplink',
        'lxc.net.0.l2proxy = 1',
        'lxc.net.0.ipv4.address = 198.51.100.10/24 198.51.100.255',
        'lxc.net.0.ipv6.address = 2001:db8::10/128',
        'lxc.net.0.veth.ipv4.route = 203.0.113.0/28',
        'lxc.net.0.veth.ipv6.route = 2001:db8:1::/0x40',
        'lxc.net.0.ipv4.gateway = 169.254.0.1',
        'lxc.net.0.ipv6.gateway = auto',
        'lxc.group = onboot web',
      ].join('\n'),
    );
    const at = (line: number) => ({ file: CONFIG, line });
    expect(config).toEqual({
      file: CONFIG,
      utsName: 'web',
      groups: ['onboot', 'web'],
      nics: [
        {
          index: 0,
          type: 'veth',
          link: 'uplink',
          name: 'eth0',
          flagsUp: true,
          vethPair: 'veth-web',
          vethMode: 'router',
          ipv4Addresses: [{ text: '198.51.100.10', place: at(9) }],
          ipv6Addresses: [{ text: '2001:db8::10', place: at(10) }],
          ipv4Routes: [{ text: '203.0.113.0/28', place: at(11) }],
          ipv6Routes: [{ text: '2001:db8:1::/64', place: at(12) }],
          ipv4Gateway: { kind: 'address', address: '169.254.0.1', place: at(13) },
          ipv6Gateway: { kind: 'auto' },
          l2proxy: true,
          place: at(2),
        },
      ],
      files: [CONFIG],
      problems: [],
      loadable: true,
      readable: true,
    });
  });

  it('that is missing is a problem, and still a file to watch', () => {
    const config = parseLxcConfig('/lxc/gone/config', memoryFiles({}));
    expect(config).toMatchObject({ loadable: false, files: ['/lxc/gone/config'], nics: [] });
    expect(config.problems).toMatchObject([{ line: 1, column: 1, message: 'there is no such file' }]);
  });

  it('that can not be read is a problem with the reason', () => {
    const broken = {
      ...memoryFiles({}),
      read: () => {
        throw new Error('EIO: i/o error');
      },
    };
    expect(tellProblems(parseLxcConfig(CONFIG, broken))).toEqual(["1:1 error: can't be read: EIO: i/o error"]);
  });

  it('keeps telling what was meant after an error, and all errors at once', () => {
    const config = parseText(
      'lxc.bogus = 1\nlxc.net.0.type = veth\nlxc.net.0.ipv4.address = 300.0.2.1\nlxc.net.0.link = br0',
    );
    expect(config.loadable).toBe(false);
    expect(config.problems).toHaveLength(2);
    expect(config.nics).toMatchObject([{ type: 'veth', link: 'br0' }]);
  });
});

describe('problems', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['lxc.uts.nam = x', '1:1 error: LXC knows no lxc.uts.nam: did you mean lxc.uts.name?'],
    ['lxc.quitedifferent = x', '1:1 error: LXC knows no lxc.quitedifferent'],
    ['  lxc.net.0.ipv4.adress = x', '1:3 error: LXC knows no lxc.net.0.ipv4.adress: did you mean ipv4.address?'],
    ['lxc.net.0.type', '1:1 error: "lxc.net.0.type" lacks its = and a value'],
    ['lxc.net.x.type = veth', '1:1 error: LXC knows no lxc.net.x.type, but lxc.net.[i].KEY, such as lxc.net.0.type'],
    [
      'lxc.net.0.type = vet',
      '1:18 error: "vet" is no network type: use one of veth, macvlan, ipvlan, vlan, phys, empty, none',
    ],
    ['lxc.net.0.veth.pair = p', '1:1 error: veth.pair needs lxc.net.0.type = veth in an earlier line'],
    [
      'lxc.net.0.ipv4.address = 192.0.2.1 # x',
      '1:26 error: "# x" is no IPv4 broadcast address (LXC knows no comments after a value)',
    ],
    [
      'lxc.net.0.ipv4.address = 192.0.2.1/24,192.0.2.2',
      '1:26 error: "/24,192.0.2.2" is no prefix length (give each address a line of its own)',
    ],
    [
      'lxc.net.0.ipv4.address = 192.0.2.1,192.0.2.2',
      '1:26 error: "192.0.2.1,192.0.2.2" is no IPv4 address (give each address a line of its own)',
    ],
    ['lxc.net.0.ipv4.gateway = 192.0.2.1/24', '1:26 error: "192.0.2.1/24" is no IPv4 address, nor auto or dev'],
    ['lxc.net.3.ipv4.address =', '1:1 error: there is no lxc.net.3 yet whose value could be cleared'],
    ['lxc.start.auto = yes', '1:18 error: lxc.start.auto must be 0 or 1, not "yes"'],
    ['lxc.cap.keep = chown\nlxc.cap.drop = chown', '2:1 error: lxc.cap.drop and lxc.cap.keep exclude each other'],
    [
      'lxc.net.0.name = a-name-that-is-too-long',
      '1:18 warning: "a-name-that-is-too-long" is too long for an interface\'s name: LXC cuts it to "a-name-that-is-"',
    ],
    [
      'lxc.net.0.name = eth0 # the uplink',
      `1:18 warning: "eth0 # the uplink" is no interface's name: LXC takes it whole, since it knows no comments behind a value`,
    ],
    [
      'lxc.net.0.type = veth\nlxc.net.0.link = br 0',
      `2:18 warning: "br 0" is no interface's name: it can hold neither blanks nor /`,
    ],
    ['lxc.net.0.flags = down', '1:19 warning: "down" means up, as any text does: leave the value empty for down'],
    ['lxc.net.010 =', '1:1 warning: LXC reads 010 as octal here and removes NIC 8'],
    [
      'lxc.net.0.ipv4.gateway = dev\nlxc.net.0.ipv4.gateway = 192.0.2.1',
      '2:26 warning: the gateway stays "dev" from an earlier line: LXC never takes that back',
    ],
    [
      'lxc.net.0.ipv6.address = 2001:db8::1/129',
      '1:26 warning: "/129" is no prefix length: LXC loads it, but can\'t start with it',
    ],
    ['\ufefflxc.uts.name = x', '1:1 warning: LXC ignores this line, since a byte order mark precedes it'],
    ['# a\n# b\0\nlxc.uts.name = x', '2:1 warning: LXC reads nothing after the NUL byte in this line'],
    [
      'lxc.environment = HOME',
      '1:19 warning: LXC refuses the file where the variable "HOME" isn\'t set: write NAME=VALUE',
    ],
    [
      'lxc.net.0.type = veth\nlxc.net.0.veth.mode =',
      '2:1 warning: an empty mode attaches the veth to nothing: write bridge or router',
    ],
  ];
  it.each(rows)('%j: %s', (text, problem) => {
    expect(tellProblems(parseText(text))).toEqual([problem]);
  });

  it('of a file full of garbage are told up to a thousand', () => {
    const config = parseText('lxc.x = 1\n'.repeat(3000));
    expect(config.problems).toHaveLength(1000);
  });

  it('quote at most a part of a megabyte line', () => {
    const [problem] = parseText(`lxc.net.0.type = ${'x'.repeat(1_000_000)}`).problems;
    expect(problem?.message.length).toBeLessThan(600);
  });
});

describe('includes', () => {
  it('make every file, every folder and every missing file one to watch', () => {
    const config = parseText(
      'lxc.include = /a\nlxc.include = /d\nlxc.include = /gone/\nlxc.include = /e/f/../nowhere\n',
      {
        '/a': 'lxc.include = /b/\n',
        '/b/x.conf': 'lxc.group = b',
        '/b/x.txt': 'lxc.bogus = 1',
        '/d/2.conf': 'lxc.group = d2',
        '/d/1.conf': 'lxc.group = d1',
      },
    );
    expect(config.files).toEqual([
      CONFIG,
      '/a',
      '/b',
      '/b/x.conf',
      '/d',
      '/d/2.conf',
      '/d/1.conf',
      '/gone',
      '/e/nowhere',
    ]);
    expect(config.groups).toEqual(['b', 'd2', 'd1']);
    expect(tellProblems(config)).toEqual(['4:15 error: /e/nowhere: there is no such file to include']);
  });

  it('put a problem where it stands, in the included file', () => {
    const config = parseText('lxc.include = /a', { '/a': '\nlxc.net.0.type = x' });
    expect(config.problems).toMatchObject([{ file: '/a', line: 2, column: 18 }]);
  });

  it('that are relative start at the working directory, with a warning', () => {
    const disk = memoryFiles({ [CONFIG]: 'lxc.include = net.conf', '/srv/net.conf': 'lxc.group = g' });
    const config = parseLxcConfig(CONFIG, disk, { workingDirectory: '/srv' });
    expect(config).toMatchObject({ groups: ['g'], loadable: true, files: [CONFIG, '/srv/net.conf'] });
    expect(config.problems).toMatchObject([{ severity: 'warning', line: 1, column: 15 }]);
  });

  it('of itself end with an error that names the circle', () => {
    const config = parseText('lxc.include = /a', { '/a': 'lxc.group = a\nlxc.include = /lxc/web/config' });
    expect(tellProblems(config)).toEqual([
      `/a:2:15 error: ${CONFIG} includes itself without end: ${CONFIG} -> /a -> ${CONFIG}`,
    ]);
    expect(config.groups).toEqual(['a']);
  });

  it('may name one file twice', () => {
    const config = parseText('lxc.include = /a\nlxc.include = /a', { '/a': 'lxc.group = g' });
    expect(config).toMatchObject({ groups: ['g', 'g'], problems: [], files: [CONFIG, '/a'] });
  });

  it('stop at a hundred levels', () => {
    const chain = Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`/c${i}`, `lxc.include = /c${i + 1}`]));
    const config = parseText('lxc.include = /c0', chain);
    expect(config.problems).toMatchObject([{ file: '/c99', severity: 'error' }]);
  });

  it('that double at every level end all the same', () => {
    const doubling = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`/c${i}`, `lxc.include = /c${i + 1}\n`.repeat(2)]),
    );
    const config = parseText('lxc.include = /c0', { ...doubling, '/c40': '' });
    expect(config.problems.at(0)?.message).toContain('more than 1000 includes');
  });

  it('of a folder in a folder leave it out, those of a link to nowhere fail', () => {
    const disk = memoryFiles({ [CONFIG]: 'lxc.include = /d/', '/d/sub.conf/x.conf': 'lxc.bogus = 1' });
    const config = parseLxcConfig(CONFIG, disk);
    expect(tellProblems(config)).toEqual(['1:15 warning: /d/sub.conf is a folder: LXC leaves it out']);
    const dangling = { read: disk.read, list: (folder: string) => (folder === '/d/' ? ['a.conf'] : undefined) };
    expect(tellProblems(parseLxcConfig(CONFIG, dangling))).toEqual([
      '1:15 error: /d/a.conf is no file that can be read',
    ]);
  });
});

describe('the grammar of LXC 1 and 2', () => {
  const legacy = [
    'lxc.utsname = old',
    'lxc.network.type = veth',
    'lxc.network.link = br0',
    'lxc.network.flags = up',
    'lxc.network.veth.pair = veth-old',
    'lxc.network.ipv4 = 198.51.100.10/32',
    'lxc.network.ipv4.gateway = 169.254.0.1',
    'lxc.network.hwaddr = 00:16:3e:00:00:01',
    'lxc.network.type = empty',
    'lxc.network.0.name = eth0',
  ];

  it('is understood: each lxc.network.type begins a NIC', () => {
    const config = parseText(legacy.join('\n'));
    expect(config).toMatchObject({
      loadable: false,
      utsName: 'old',
      nics: [
        {
          index: 0,
          type: 'veth',
          link: 'br0',
          name: 'eth0',
          flagsUp: true,
          vethPair: 'veth-old',
          ipv4Addresses: [{ text: '198.51.100.10', place: { file: CONFIG, line: 6 } }],
          ipv4Gateway: { kind: 'address', address: '169.254.0.1' },
        },
        { index: 1, type: 'empty', name: 'lo' },
      ],
    });
  });

  it('is a problem in every line, which says what to write instead', () => {
    const config = parseText(legacy.join('\n'));
    expect(config.problems.map(({ line }) => line)).toEqual(legacy.map((_, index) => index + 1));
    expect(tellProblems(config).slice(5, 6)).toEqual([
      '6:1 error: LXC refuses lxc.network.ipv4 since version 3.0: write lxc.net.0.ipv4.address',
    ]);
    expect(tellProblems(parseText('lxc.kmsg = 0'))).toEqual([
      '1:1 error: LXC refuses lxc.kmsg since version 3.0: delete the line',
    ]);
    expect(tellProblems(parseText('lxc.limit.nofile = 9'))).toEqual([
      '1:1 error: LXC refuses lxc.limit.nofile since version 3.0: write lxc.prlimit.nofile',
    ]);
  });

  it('takes the next free index beside NICs of today', () => {
    const config = parseText('lxc.net.0.type = macvlan\nlxc.network.type = veth\nlxc.network.type = veth\n');
    expect(config.nics.map(({ index, type }) => [index, type])).toEqual([
      [0, 'macvlan'],
      [1, 'veth'],
      [2, 'veth'],
    ]);
  });

  it('says when a key stands before any type', () => {
    expect(tellProblems(parseText('lxc.network.link = br0'))).toEqual([
      '1:1 error: lxc.network.link stands before any lxc.network.type',
    ]);
  });

  it('clears its NICs by an empty lxc.network', () => {
    expect(parseText('lxc.network.type = veth\nlxc.network =\nlxc.network.type = phys').nics).toMatchObject([
      { index: 0, type: 'phys' },
    ]);
  });
});
