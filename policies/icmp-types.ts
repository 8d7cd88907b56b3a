/** ICMP type names as nft and the RFCs write them, and which of them are error messages. */
import type { Family } from '../render/address.ts';

const icmp4: Readonly<Record<string, number>> = {
  'echo-reply': 0,
  'destination-unreachable': 3,
  'source-quench': 4,
  redirect: 5,
  'echo-request': 8,
  'router-advertisement': 9,
  'router-solicitation': 10,
  'time-exceeded': 11,
  'parameter-problem': 12,
  'timestamp-request': 13,
  'timestamp-reply': 14,
  'info-request': 15,
  'info-reply': 16,
  'address-mask-request': 17,
  'address-mask-reply': 18,
};

const icmp6: Readonly<Record<string, number>> = {
  'destination-unreachable': 1,
  'packet-too-big': 2,
  'time-exceeded': 3,
  'parameter-problem': 4,
  'echo-request': 128,
  'echo-reply': 129,
  'mld-listener-query': 130,
  'mld-listener-report': 131,
  'mld-listener-done': 132,
  'nd-router-solicit': 133,
  'nd-router-advert': 134,
  'nd-neighbor-solicit': 135,
  'nd-neighbor-advert': 136,
  redirect: 137,
  'nd-redirect': 137,
  'router-renumbering': 138,
  'mld2-listener-report': 143,
};

export const icmpTypes: Readonly<Record<Family, ReadonlyMap<string, number>>> = {
  4: new Map(Object.entries(icmp4)),
  6: new Map(Object.entries(icmp6)),
};

const errors: Readonly<Record<Family, readonly number[]>> = { 4: [3, 4, 5, 11, 12], 6: [1, 2, 3, 4, 137] };
const advertisements: Readonly<Record<Family, number>> = { 4: 9, 6: 134 };

/** Messages about another flow: they pass with that flow, and never by a rule. */
export const isIcmpError = (family: Family, type: number): boolean => errors[family].includes(type);

/** What only a router says; the ruleset drops it before any policy is asked. */
export const isRouterAdvertisement = (family: Family, type: number): boolean => advertisements[family] === type;
