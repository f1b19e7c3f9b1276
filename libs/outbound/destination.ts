/** What can be said of a URL before anything is looked up: its form, its scheme, its port, and a literal address. */
import ipaddr from 'ipaddr.js';
import { InvalidInput } from '#domain';
import { findNonPublicReason } from './public-address.ts';

export type RefusalCode =
  | 'url_invalid'
  | 'url_scheme_refused'
  | 'url_credentials_refused'
  | 'url_port_refused'
  | 'url_host_refused'
  | 'url_address_refused'
  | 'url_host_not_found';

/** The address is not one that a request may go to; asking again changes nothing until its owner changes it. */
export class RefusedUrl extends InvalidInput {
  constructor(code: RefusalCode, message: string) {
    super(message, { code, param: 'url' });
  }
}

/** A host, and where one is named its port, that may be called whatever its address and scheme. */
export interface AllowedHost {
  readonly host: string;
  readonly port: number | null;
}

export interface UrlPolicy {
  readonly schemes: readonly ('http' | 'https')[];
  readonly ports: readonly number[];
  readonly allowHosts: readonly AllowedHost[];
}

export interface Destination {
  readonly url: URL;
  /** Canonical: lower case, punycode, no brackets, no dot at the end. */
  readonly host: string;
  readonly port: number;
  /** Named by the operator: not judged any further. */
  readonly isAllowed: boolean;
}

const maxUrlLength = 2_048;

/** Names that never lead to the public internet (RFC 6761, RFC 6762, RFC 8375, ICANN's resolution on .internal). */
const privateHostNames = /(^|\.)(localhost|local|internal|intranet|home\.arpa|lan|corp|home|localdomain)$/;

/** @param list such as `127.0.0.1,receiver.test:8080,[::1]`. @throws RangeError naming the entry that is none. */
export function parseAllowedHosts(list: readonly string[]): AllowedHost[] {
  return list.map((entry) => {
    const bare = !entry.startsWith('[') && ipaddr.IPv6.isValid(entry) ? `[${entry}]` : entry;
    const [, named, port] = /^(.+?)(?::(\d{1,5}))?$/.exec(bare) ?? [];
    if (!named || !URL.canParse(`http://${named}/`) || /[/@?#\\\s]/.test(named)) {
      throw new RangeError(`'${entry}' is not a host, nor a host and a port`);
    }
    return {
      host: toCanonicalHost(new URL(`http://${named}/`)),
      port: port === undefined ? null : Number(port),
    };
  });
}

/** @throws RefusedUrl; its message never repeats the URL, which may hold a secret. */
export function parseDestination(text: string, policy: UrlPolicy): Destination {
  // The parser would drop tabs, newlines and blanks, and read a backslash as a slash: what was checked by eye is not what is called.
  const hasOddities = /[\s\\\u0000-\u001f\u007f]/.test(text);
  if (text.length > maxUrlLength || hasOddities || !URL.canParse(text)) {
    throw new RefusedUrl(
      'url_invalid',
      `Give an absolute URL of up to ${maxUrlLength} characters, without blanks and backslashes.`,
    );
  }
  const url = new URL(text);
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') {
    throw new RefusedUrl('url_scheme_refused', `The URL must begin with ${formatSchemes(policy)}.`);
  }
  const host = toCanonicalHost(url);
  const port = Number(url.port || (scheme === 'https' ? 443 : 80));
  if (url.username || url.password) {
    throw new RefusedUrl(
      'url_credentials_refused',
      'The URL must not hold a user name or a password. Use a custom header.',
    );
  }
  const isAllowed = policy.allowHosts.some(
    (allowed) => allowed.host === host && (allowed.port === null || allowed.port === port),
  );
  const destination = { url, host, port, isAllowed };
  if (isAllowed) return destination;
  if (!policy.schemes.includes(scheme)) {
    throw new RefusedUrl('url_scheme_refused', `The URL must begin with ${formatSchemes(policy)}.`);
  }
  if (!policy.ports.includes(port)) {
    throw new RefusedUrl('url_port_refused', `The URL's port must be ${policy.ports.join(' or ')}.`);
  }
  if (ipaddr.isValid(host)) assertPublic([host]);
  else if (!host.includes('.') || privateHostNames.test(host)) {
    throw new RefusedUrl('url_host_refused', 'The URL names a host that is not on the public internet.');
  }
  return destination;
}

/** @throws RefusedUrl where any of a host's addresses is not public, so that no order of trying them finds it. */
export function assertPublic(addresses: readonly string[]): void {
  if (addresses.every((address) => findNonPublicReason(address) === null)) return;
  throw new RefusedUrl(
    'url_address_refused',
    'The URL leads to an address that is not on the public internet.',
  );
}

function toCanonicalHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
}

const formatSchemes = ({ schemes }: UrlPolicy) => schemes.map((scheme) => `${scheme}://`).join(' or ');
