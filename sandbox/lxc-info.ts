/** What `lxc-info` says of a container. */

/** `Key:   value` lines; of several links the first. */
export function parseInfo(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [, key = '', value = ''] of text.matchAll(/^ ?([A-Za-z ]+):\s+(.*)$/gm)) {
    if (!values.has(key)) values.set(key, value);
  }
  return values;
}
