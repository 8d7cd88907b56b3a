// The little of man(7) that the manual pages need; every text is escaped here and nowhere else.

/** A word of ordinary text may be marked as code by backquotes: `drop` becomes bold. */
export const text = (line) =>
  line
    .split('`')
    .map((part, index) => (index % 2 === 1 ? bold(part) : literal(part)))
    .join('');

/** A hyphen in code is a minus, so that it can be copied. */
export const bold = (word) => `\\fB${literal(word).replaceAll('-', '\\-')}\\fR`;

const literal = (part) =>
  part.replaceAll('\\', '\\e').replaceAll("'", '\\(aq').replaceAll('^', '\\(ha').replaceAll('~', '\\(ti');

/** A dot or an apostrophe at the start of a line would be a request. */
const guard = (line) => (/^[.']/.test(line) ? `\\&${line}` : line);

export const paragraph = (line) => ['.PP', guard(text(line))];
export const section = (title) => [`.SH ${title}`];
export const subsection = (title) => [`.SS ${guard(text(title))}`];
/** `term` is already roff. */
export const item = (term, line) => ['.TP', guard(term), guard(text(line))];
/** Close together; `width` of the terms, which are already roff. */
export const table = (width, rows) => [
  '.PP',
  '.PD 0',
  ...rows.flatMap(([term, line]) => [`.TP ${width}`, guard(term), guard(text(line))]),
  '.PD',
];
export const verbatim = (lines) => [
  '.PP',
  '.RS 4',
  '.EX',
  ...lines.map((line) => guard(literal(line).replaceAll('-', '\\-'))),
  '.EE',
  '.RE',
];

/** `date`: ISO, a day. */
export const page = ({ name, volume, date, version, about }, body) =>
  `${[
    `.TH ${name.toUpperCase()} ${volume} ${date} "routewall ${version}" ""`,
    ...section('NAME'),
    `${name.replaceAll('-', '\\-')} \\- ${text(about)}`,
    ...body,
  ].join('\n')}\n`;
