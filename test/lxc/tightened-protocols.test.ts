/** A tightened policy ends the live flows of every protocol that is tracked, and only those that it no longer allows. */
import { afterEach, expect, it } from 'vitest';
import { cleanUp } from '../../sandbox/clean-up.ts';
import { eventually } from '../../sandbox/eventually.ts';
import { INTERNET } from '../../sandbox/host.ts';
import { probe } from '../../sandbox/services.ts';
import { type Attack, attack, startWitness } from './hostile.ts';
import { addressesOf, nic, startRoutewall } from './routewall.ts';

afterEach(cleanUp);

const WEB = addressesOf(20);

/** INIT or INIT ACK, which stand alone in their packet: the mark is part of it. */
function initChunk(type: number, tag: number): string {
  return `Raw(struct.pack("!BBHIIHHI", ${type}, 0, 20 + len(M.load), ${tag}, 1500, 1, 1, 1) + M.load)`;
}

/** A header of the question, and of the answer where that is another one; asked is port 9000, where the protocol has ports. */
const PROTOCOLS = [
  {
    service: 'sctp/9000',
    question: `SCTP(sport=7000, dport=9000, tag=0)/${initChunk(1, 7)}`,
    answer: `SCTP(sport=9000, dport=7000, tag=7)/${initChunk(2, 8)}`,
  },
  {
    service: 'udp/9000',
    question: 'UDP(sport=7000, dport=9000)/M',
    answer: 'UDP(sport=9000, dport=7000)/M',
  },
  {
    service: 'proto/136',
    number: 136,
    question: 'Raw(bytes(UDP(sport=7000, dport=9000, len=8, chksum=1)))/M',
    answer: 'Raw(bytes(UDP(sport=9000, dport=7000, len=8, chksum=1)))/M',
  },
  { service: 'proto/33', number: 33, question: 'Raw(b"\\0" * 24)/M' },
  { service: 'proto/47', question: 'GRE(proto=0x800)/M' },
  { service: 'proto/50', number: 50, question: 'Raw(b"\\0\\0\\1\\0" * 6)/M' },
  { service: 'proto/200', number: 200, question: 'Raw(b"\\0" * 24)/M' },
] as const;
type Protocol = Readonly<Record<'service' | 'question', string>> & {
  readonly number?: number;
  readonly answer?: string;
};
const ECHO = 'icmp/echo-request';

const policy = (services: readonly string[]): string =>
  `egress: { default: allow }\ningress:\n  rules:\n    - allow: [${['tcp/80', ...services].join(', ')}]\n      from: any\n`;

function packets(from: readonly string[], to: readonly string[], word: 'question' | 'answer'): Attack[] {
  const layer = (at: number, number?: number): string => {
    const [name, field] = at === 0 ? ['IP', 'proto'] : ['IPv6', 'nh'];
    return `E/${name}(src="${from[at]}", dst="${to[at]}"${number === undefined ? '' : `, ${field}=${number}`})`;
  };
  const protocols: readonly Protocol[] = PROTOCOLS;
  const echo = {
    question: ['ICMP(id=77)', 'ICMPv6EchoRequest(id=77)'],
    answer: ['ICMP(type=0, id=77)', 'ICMPv6EchoReply(id=77)'],
  };
  return [0, 1].flatMap((at): Attack[] => [
    ...protocols.map(
      (protocol): Attack => [protocol.service, `${layer(at, protocol.number)}/${protocol[word] ?? protocol.question}`],
    ),
    [ECHO, `${layer(at)}/${echo[word][at]}/M`],
  ]);
}

const services = [...PROTOCOLS.map(({ service }) => service), ECHO];

it('ends flows of every protocol that the new rules refuse, and takes their packets no more', async () => {
  const rw = await startRoutewall({
    policies: { 'containers/web.yaml': policy(services) },
    host: { sysctls: { 'net/netfilter/nf_conntrack_checksum': '0' } },
  });
  const { host, outside } = rw.bed;
  const web = await rw.addContainer('web', { lines: nic(WEB) });
  await rw.start(web);
  const inside = await web.inside();
  for (const to of INTERNET) await probe(inside, { protocol: 'tcp', to, port: 9 });
  const tracked = async (): Promise<number> => {
    const listings = ['ipv4', 'ipv6'].map((family) => host.run('conntrack', ['-L', '-f', family]));
    const lines = (await Promise.all(listings)).flatMap(({ stdout }) => stdout.split('\n'));
    return lines.filter((line) => WEB.some((own) => line.includes(`dst=${own} `)) && !/UNREPLIED|\btcp\b/.test(line))
      .length;
  };
  const questions = packets(INTERNET, WEB, 'question');
  const answers = packets(WEB, INTERNET, 'answer');
  const all = questions.length;
  const inwards = await startWitness(host, { devices: [await web.hostVeth()], from: 'eth0' });
  await attack({ place: outside, own: INTERNET }, questions);
  await attack({ place: inside, own: WEB }, answers);
  await eventually('all come in', () => inwards.seen(questions).length === all);
  await inwards.stop();
  expect(await tracked()).toBe(all);
  await rw.writePolicy('containers/web.yaml', policy([ECHO]));
  await eventually('all but the echoes are cut', async () => (await tracked()) <= 2);
  const later = await startWitness(host, { devices: [await web.hostVeth()], from: 'eth0' });
  // Those to which the container answers too: what it sends must not bring a flow back.
  await attack(
    { place: inside, own: WEB },
    answers.filter(([name]) => name.startsWith('icmp')),
  );
  await attack({ place: outside, own: INTERNET }, questions);
  await eventually('what is allowed comes in', () => later.seen(questions).length >= 2);
  expect(later.seen(questions)).toEqual([ECHO, ECHO]);
  await later.stop();
});
