/**
 * Opens sockets to allowed addresses only. The check is made where the socket is opened: the socket connects to the address
 * that was checked, so that a second DNS answer for the same name (DNS rebinding) has no effect.
 */
import { buildConnector } from 'undici';
import { assertPublic, parseDestination, RefusedUrl, type UrlPolicy } from './destination.ts';
import { resolveWithSystem, resolveWithDns, type ResolveHost } from './resolve-host.ts';
import { isIP } from 'node:net';

export interface OutboundOptions extends UrlPolicy {
  /** Resolves hosts whose addresses are checked. */
  readonly resolve?: ResolveHost;
  /** Resolves hosts that are allowed by name. */
  readonly resolveAllowed?: ResolveHost;
  /** Time limit to connect to one address, in ms. @default 5,000 */
  readonly connectTimeoutMs?: number;
}

/** How many addresses of a host are tried, one after the other. */
const maxAddressAttempts = 3;

/** Returns the addresses that a request to this URL may use. @throws RefusedUrl; an Error when the DNS does not answer. */
export async function resolveAllowedAddresses(
  text: string,
  deps: OutboundOptions,
): Promise<readonly string[]> {
  const { host, isAllowed } = parseDestination(text, deps);
  if (isIP(host)) return [host];
  const resolve = isAllowed ? (deps.resolveAllowed ?? resolveWithSystem) : (deps.resolve ?? resolveWithDns);
  const addresses = await resolve(host);
  if (addresses.length === 0) {
    throw new RefusedUrl('url_host_not_found', 'The URL names a host that does not exist.');
  }
  if (!isAllowed) assertPublic(addresses, deps);
  return addresses;
}

export function createGuardedConnector(deps: OutboundOptions): buildConnector.connector {
  const open = buildConnector({
    timeout: deps.connectTimeoutMs ?? 5_000,
    allowH2: false,
    autoSelectFamily: false,
  });
  const openOne = (options: buildConnector.Options) =>
    new Promise<Parameters<buildConnector.Callback>[1] & object>((resolve, reject) => {
      open(options, (error, socket) => (error ? reject(error) : resolve(socket)));
    });
  const connect = async (options: buildConnector.Options) => {
    const { protocol, hostname, port } = options;
    const addresses = await resolveAllowedAddresses(
      `${protocol}//${hostname}${port ? `:${port}` : ''}/`,
      deps,
    );
    const name = hostname.replace(/^\[|\]$/g, '');
    let failure: unknown;
    for (const address of addresses.slice(0, maxAddressAttempts)) {
      try {
        // TLS verifies the name. SNI is empty when the URL contains an address (RFC 6066 §3).
        return await openOne({ ...options, hostname: address, servername: isIP(name) ? '' : name });
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  };
  return (options, callback) => {
    connect(options).then(
      (socket) => callback(null, socket),
      (error: Error) => callback(error, null),
    );
  };
}
