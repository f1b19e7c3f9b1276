/** Preloaded into an API: a DNS in which a name leads to the public internet when it is judged first, and inwards from then on. */
import { promises } from 'node:dns';
import { internalAddress, rebindingHost } from '../dns-rebinding.ts';

type Ask = (this: unknown, host: string) => Promise<string[]>;

const resolver = promises.Resolver.prototype as unknown as { resolve4: Ask; resolve6: Ask };
const inDns = { resolve4: resolver.resolve4, resolve6: resolver.resolve6 };
let asked = 0;

resolver.resolve4 = async function (host) {
  if (host !== rebindingHost) return inDns.resolve4.call(this, host);
  return asked++ === 0 ? ['93.184.216.34'] : [internalAddress];
};
resolver.resolve6 = async function (host) {
  return host === rebindingHost ? [] : inDns.resolve6.call(this, host);
};
