/** A listing of nft without the elements that packets put into sets and maps, as refused ones do at any time. */
export const withoutFilled = (listing: string): string =>
  listing.replace(/(\t\tflags dynamic\b[^{}]*)\t\telements = \{[^}]*\}\n/g, '$1');
