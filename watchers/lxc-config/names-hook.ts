/** Whether a hook of LXC's is routewall's, by its words: `/usr/lib/routewall/hook`, also behind `env` or another program. */
export const namesHook = (words: string): boolean => words.includes('routewall');
