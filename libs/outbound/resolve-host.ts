/** Names to addresses, asked of the DNS itself: never a file of the machine's, nor a thread that a slow server holds. */
import { lookup, Resolver } from 'node:dns/promises';

/** @returns every address of a host; none where there is no such host. @throws where the DNS does not answer. */
export type ResolveHost = (host: string) => Promise<readonly string[]>;

/**
 * c-ares, with its own sockets. `getaddrinfo` would run on the process's four threads, and four hosts whose DNS
 * hangs would stop every other request's (and the disk's) work.
 */
export const resolveWithDns: ResolveHost = async (host) => {
  const resolver = new Resolver({ timeout: 1_500, tries: 2 });
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = [v4, v6].find((answer) => answer.status === 'rejected' && !isHostNotFound(answer.reason));
  if (found.length === 0 && failed) throw (failed as PromiseRejectedResult).reason;
  return found;
};

/** For hosts that the operator allows by name: they may stand in /etc/hosts. */
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
