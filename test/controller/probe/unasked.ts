/** Claims of addresses that nobody is asked about. */
import { AddressClaims } from '../../../controller/probe/address-claims.ts';

export const unaskedClaims = (): AddressClaims =>
  new AddressClaims({
    stream: () => {
      throw new Error('nobody is to be asked');
    },
    ...{ log: () => undefined, onNews: () => undefined, keep: () => undefined },
  });
