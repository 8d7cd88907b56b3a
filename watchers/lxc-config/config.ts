/** The nouns of an LXC container's configuration as LXC itself would hold it after loading; all values are plain text. */

/** `file` is absolute; `line` counts from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

/** `column` counts from 1. An error means that LXC refuses the whole configuration; a warning, that it loads another meaning. */
export interface LxcProblem extends Place {
  readonly column: number;
  readonly message: string;
  readonly severity: 'error' | 'warning';
}

export type LxcNicType = 'veth' | 'macvlan' | 'ipvlan' | 'vlan' | 'phys' | 'empty' | 'none';

/** `text` is what inet_pton took: `192.0.2.1` for an address (its prefix length is left out), `192.0.2.0/24` for a route. */
export interface PlacedText {
  readonly text: string;
  readonly place: Place;
}

export type LxcGateway =
  /** The primary address of `link`. */
  | { readonly kind: 'auto' }
  /** A default route by device, without any address. */
  | { readonly kind: 'dev' }
  | { readonly kind: 'address'; readonly address: string; readonly place: Place };

export interface LxcNic {
  readonly index: number;
  /** `null`: never given, or taken back by an empty `type =`. */
  readonly type: LxcNicType | null;
  readonly link?: string;
  /** Inside the container. */
  readonly name?: string;
  readonly flagsUp: boolean;
  readonly vethPair?: string;
  /** As written: `00:16:3e:xx:xx:xx` is a template, in which LXC replaces each x by a random digit at each start. */
  readonly hwaddr?: string;
  /** `none`: emptied by `veth.mode =`; LXC then attaches the veth to no bridge, whatever `link` says, and adds no routes. */
  readonly vethMode: 'bridge' | 'router' | 'none';
  /** As written, in order, repeated ones too. */
  readonly ipv4Addresses: readonly PlacedText[];
  readonly ipv6Addresses: readonly PlacedText[];
  /** Host bits are kept: LXC hands them to the kernel as they are. */
  readonly ipv4Routes: readonly PlacedText[];
  readonly ipv6Routes: readonly PlacedText[];
  readonly ipv4Gateway: LxcGateway | null;
  readonly ipv6Gateway: LxcGateway | null;
  readonly l2proxy: boolean;
  /** Its `script.up` is routewall's hook; absent otherwise. */
  readonly asksUs?: true;
  /** Where its `type` stands, or else the first line that names it. */
  readonly place: Place;
}

/** One line of a setting besides the network that decides who is master of it. */
export interface LxcSetting {
  /** Without `lxc.`, such as `namespace.share.net`. */
  readonly key: string;
  readonly value: string;
  readonly place: Place;
}

export interface LxcConfig {
  /** Absolute. */
  readonly file: string;
  readonly utsName?: string;
  /** `lxc.group`, in order. */
  readonly groups: readonly string[];
  /** Sorted by index; indexes may have gaps. */
  readonly nics: readonly LxcNic[];
  /** In order, those that an empty value took back left out; absent where there is none. */
  readonly settings?: readonly LxcSetting[];
  /** Every file and folder that the configuration depends on, also those that don't exist yet; absolute. */
  readonly files: readonly string[];
  readonly problems: readonly LxcProblem[];
  /** Whether LXC itself would load it. When not, everything else is the best reading of what was meant. */
  readonly loadable: boolean;
  /** All of it could be read; LXC waits for ever, or crashes, in some of what can't. */
  readonly readable: boolean;
}

/**
 * How the parser sees the disk. Both answer `undefined` for what is missing or of the other kind (a folder is no file)
 * and may throw for what is there but can't be read.
 */
export interface LxcFiles {
  read(file: string): string | undefined;
  /** The names in a folder, in readdir's own order. */
  list(folder: string): readonly string[] | undefined;
}
