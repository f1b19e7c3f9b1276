/** Resolves host names to addresses, with the DNS directly: without /etc/hosts, and without blocking a thread. */
import { lookup, Resolver } from 'node:dns/promises';

/** Returns all addresses of a host; none when the host does not exist. @throws when the DNS does not answer. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/**
 * Uses c-ares, which has its own sockets. `getaddrinfo` runs on the four threads of libuv's pool: four hosts whose DNS
 * hangs would stop all file operations and all other look-ups of the process.
 */
export const resolveWithDns: ResolveHost = async (host) => {
  const resolver = new Resolver({ timeout: 1_500, tries: 2 });
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = [v4, v6].find((answer) => answer.status === 'rejected' && !isHostNotFound(answer.reason));
  if (found.length === 0 && failed) throw (failed as PromiseRejectedResult).reason;
  return found;
};

/** For hosts that the operator allows by name: they may be defined in /etc/hosts. */
export const resolveWithSystem: ResolveHost = async (host) => {
  try {
    return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
  } catch (error) {
    if (isHostNotFound(error)) return [];
    throw error;
  }
};

function isHostNotFound(error: unknown): boolean {
  return ['ENOTFOUND', 'ENODATA'].includes((error as NodeJS.ErrnoException).code ?? '');
}
