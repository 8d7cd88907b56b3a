/** Cuts a stream of text into lines of bounded length. */

/** nft prints a set's elements in one line of up to a netlink message; whatever is longer says nothing more to us. */
const MAX_LINE = 65_536;

/** Call the result with each chunk; of a longer line than `maxLength` characters only the beginning is given. */
export function lineSplitter(onLine: (line: string) => void, maxLength = MAX_LINE): (chunk: string) => void {
  let rest = '';
  const keep = (text: string) => {
    if (rest.length < maxLength) rest += text.slice(0, maxLength - rest.length);
  };
  return (chunk) => {
    let from = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', from)) {
      keep(chunk.slice(from, end));
      const line = rest;
      rest = '';
      from = end + 1;
      onLine(line);
    }
    keep(chunk.slice(from));
  };
}
