/** Frames byte by byte; that a network understands them is shown in test/kernel/announcer.test.ts. */
import { expect, it } from 'vitest';
import { parseAddress } from '../../render/address.ts';
import { renderAnnouncement } from '../../render/announcement.ts';

const address = (text: string) => parseAddress(text) ?? expect.unreachable();
const announcer = { mac: '02:00:00:00:00:77', linkLocal: address('fe80::77') };
const hex = (...parts: string[]): string => parts.join('').replaceAll(/[ :]/g, '');
const frameOf = (text: string): string =>
  Buffer.from(renderAnnouncement(address(text), announcer) ?? expect.unreachable()).toString('hex');

it('announces an IPv4 address by a gratuitous ARP reply to everyone', () => {
  expect(frameOf('192.0.2.10')).toBe(
    hex(
      'ff:ff:ff:ff:ff:ff 02:00:00:00:00:77 0806', // to all, from us, ARP
      '0001 0800 06 04 0002', // Ethernet, IPv4, lengths, reply
      '02:00:00:00:00:77 c000020a', // sender
      'ff:ff:ff:ff:ff:ff c000020a', // target: the same address
    ),
  );
});

it('announces an IPv6 address by an unsolicited neighbour advertisement to all nodes', () => {
  expect(frameOf('2001:db8::10')).toBe(
    hex(
      '33:33:00:00:00:01 02:00:00:00:00:77 86dd',
      '60000000 0020 3a ff', // 32 bytes of ICMPv6, hop limit 255
      'fe80 0000 0000 0000 0000 0000 0000 0077',
      'ff02 0000 0000 0000 0000 0000 0000 0001',
      '88 00 a767 a0000000', // advertisement, checksum, router and override
      '2001 0db8 0000 0000 0000 0000 0000 0010',
      '02 01 02:00:00:00:00:77', // target link-layer address
    ),
  );
});

it('says nothing about an IPv6 address where the uplink has no link-local address to speak from', () => {
  expect(renderAnnouncement(address('2001:db8::10'), { ...announcer, linkLocal: undefined })).toBeUndefined();
  expect(renderAnnouncement(address('192.0.2.10'), { ...announcer, linkLocal: undefined })).toBeDefined();
});

it('has a checksum that sums to zero, whatever the address', () => {
  for (let last = 0; last < 0x1_0000; last += 0x777) {
    const bytes = Buffer.from(frameOf(`2001:db8:ffff:fffe::${last.toString(16)}`), 'hex');
    const covered = [...bytes.subarray(22, 54), 0, 0, 0, 32, 0, 0, 0, 58, ...bytes.subarray(54)];
    let sum = 0;
    for (const [index, byte] of covered.entries()) sum += index % 2 === 0 ? byte * 256 : byte;
    while (sum > 0xffff) sum = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
    expect(sum).toBe(0xffff);
  }
});
