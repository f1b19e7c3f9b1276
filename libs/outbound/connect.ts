/**
 * Opens sockets to judged addresses only. The judgement sits where the socket is made: whatever was asked before, and
 * whatever the name leads to by now, what is connected to is the address that was judged, never the name again.
 */
import { buildConnector } from 'undici';
import { assertPublic, destinationOf, RefusedUrl, type UrlPolicy } from './destination.ts';
import { resolveLocal, resolvePublic, type Resolve } from './resolve.ts';
import { isIP } from 'node:net';

export interface ConnectOptions extends UrlPolicy {
  /** The DNS, for hosts that are judged. */
  readonly resolve?: Resolve;
  /** For hosts that are allowed by name. */
  readonly resolveAllowed?: Resolve;
  /** To open a socket to one address, in ms. @default 5,000 */
  readonly connectMs?: number;
}

/** Addresses of a host that are tried, one after the other. */
const tries = 3;

/** @returns the addresses that this URL may be sent to. @throws RefusedUrl; an Error where the DNS does not answer. */
export async function judgedAddresses(text: string, on: ConnectOptions): Promise<readonly string[]> {
  const { host, isAllowed } = destinationOf(text, on);
  if (isIP(host)) return [host];
  const resolve = isAllowed ? (on.resolveAllowed ?? resolveLocal) : (on.resolve ?? resolvePublic);
  const addresses = await resolve(host);
  if (addresses.length === 0) {
    throw new RefusedUrl('url_host_not_found', 'The URL names a host that does not exist.');
  }
  if (!isAllowed) assertPublic(addresses);
  return addresses;
}

export function judgingConnector(on: ConnectOptions): buildConnector.connector {
  const open = buildConnector({ timeout: on.connectMs ?? 5_000, allowH2: false, autoSelectFamily: false });
  const openOne = (options: buildConnector.Options) =>
    new Promise<Parameters<buildConnector.Callback>[1] & object>((resolve, reject) => {
      open(options, (error, socket) => (error ? reject(error) : resolve(socket)));
    });
  const connect = async (options: buildConnector.Options) => {
    const { protocol, hostname, port } = options;
    const addresses = await judgedAddresses(`${protocol}//${hostname}${port ? `:${port}` : ''}/`, on);
    const name = hostname.replace(/^\[|\]$/g, '');
    let failure: unknown;
    for (const address of addresses.slice(0, tries)) {
      try {
        // TLS still asks for, and checks, the name; SNI knows none for an address (RFC 6066 §3).
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
