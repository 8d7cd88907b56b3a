/** Moments as policies write them (RFC 3339 with an offset), in seconds since 1970, and how far off they are. */

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;

/** The kernel counts nanoseconds in 64 bits. */
const LATEST_YEAR = 2199;

/** Seconds since 1970, fractions cut off; or what is wrong with the text. */
export function parseMoment(text: string): number | string {
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', offset = ''] =
    RFC3339.exec(text) ?? [];
  if (year === '') return mistake(text);
  if (Number(year) < 1970 || Number(year) > LATEST_YEAR) {
    return `"${text}": the year is 1970 to ${LATEST_YEAR}; a rule that never ends has no "until"`;
  }
  const local = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // Date.parse takes 30 February for 2 March, and 24:00 for the next day.
  const isReal =
    !Number.isNaN(local) && formatMoment(local / 1000) === `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  if (!isReal) return `"${text}": there is no such day or time`;
  const [offsetHours, offsetMinutes] = [Number(offset.slice(1, 3)), Number(offset.slice(4))];
  if (offsetHours > 23 || offsetMinutes > 59) return `"${text}": there is no such offset`;
  const seconds = (offset.startsWith('-') ? -60 : 60) * (offsetHours * 60 + offsetMinutes);
  return Math.max(0, local / 1000 - seconds);
}

function mistake(text: string): string {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) return `"${text}" has no time of day: did you mean "${text}T00:00:00Z"?`;
  if (RFC3339.test(`${text}Z`)) return `"${text}" has no offset: did you mean "${text}Z"? Or an offset such as +02:00`;
  return `"${text}" is no moment: write 2027-01-31T00:00:00Z, or with an offset 2027-01-31T00:00:00+02:00`;
}

/** `2027-01-31T00:00:00Z` */
export const formatMoment = (seconds: number): string => new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['min', 60],
  ['s', 1],
] as const;

/** The two largest units: `3 d 4 h`, `1 h`, `12 s`. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.round(seconds));
  const parts = UNITS.map(([unit, length]) => {
    const count = Math.floor(rest / length);
    rest -= count * length;
    return { unit, count };
  });
  const first = parts.findIndex(({ count }) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(({ count }) => count > 0)
    .map(({ unit, count }) => `${count} ${unit}`)
    .join(' ');
}

/** A moment of ours as people are told it: `2027-01-31 00:00:00 UTC`. */
export const timeText = (iso: string): string => iso.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
