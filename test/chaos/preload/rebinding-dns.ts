/** Preloaded into an API: the test name resolves to a public address on the first lookup and to an internal one afterwards. */
import { promises } from 'node:dns';
import { internalAddress, rebindingHost } from '../dns-rebinding.ts';

type Resolve = (this: unknown, host: string) => Promise<string[]>;

const resolver = promises.Resolver.prototype as unknown as { resolve4: Resolve; resolve6: Resolve };
const original = { resolve4: resolver.resolve4, resolve6: resolver.resolve6 };
let lookups = 0;

resolver.resolve4 = async function (host) {
  if (host !== rebindingHost) return original.resolve4.call(this, host);
  return lookups++ === 0 ? ['93.184.216.34'] : [internalAddress];
};
resolver.resolve6 = async function (host) {
  return host === rebindingHost ? [] : original.resolve6.call(this, host);
};
