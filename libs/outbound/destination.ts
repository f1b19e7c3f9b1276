/** Checks a URL before any DNS look-up: its syntax, scheme and port, and its host when that is an address. */
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

/** Requests to this URL are not allowed. A retry fails too, until the URL is changed. */
export class RefusedUrl extends InvalidInput {
  constructor(code: RefusalCode, message: string) {
    super(message, { code, param: 'url' });
  }
}

/** A host, optionally with a port, that may be called with any address and scheme. */
export interface AllowedHost {
  readonly host: string;
  readonly port: number | null;
}

export interface UrlPolicy {
  readonly schemes: readonly ('http' | 'https')[];
  readonly ports: readonly number[];
  readonly allowHosts: readonly AllowedHost[];
  /** Name of the setting behind `allowHosts`, for messages. */
  readonly allowSetting?: string;
}

export interface Destination {
  readonly url: URL;
  /** In canonical form: lower case, punycode, without brackets and without a trailing dot. */
  readonly host: string;
  readonly port: number;
  /** The operator allows this host, so that its address is not checked. */
  readonly isAllowed: boolean;
}

const maxUrlLength = 2_048;

/** Names that never resolve to the public internet (RFC 6761, RFC 6762, RFC 8375, ICANN's resolution on .internal). */
const privateHostNames = /(^|\.)(localhost|local|internal|intranet|home\.arpa|lan|corp|home|localdomain)$/;

/** @param list for example `127.0.0.1`, `receiver.test:8080`, `[::1]`. @throws RangeError that names the invalid entry. */
export function parseAllowedHosts(list: readonly string[]): AllowedHost[] {
  return list.map((entry) => {
    const bare = !entry.startsWith('[') && ipaddr.IPv6.isValid(entry) ? `[${entry}]` : entry;
    const [, named, port] = /^(.+?)(?::(\d{1,5}))?$/.exec(bare) ?? [];
    if (!named || !URL.canParse(`http://${named}/`) || /[/@?#\\\s]/.test(named)) {
      throw new RangeError(`'${entry}' is neither a host nor a host and a port`);
    }
    return {
      host: toCanonicalHost(new URL(`http://${named}/`)),
      port: port === undefined ? null : Number(port),
    };
  });
}

/** @throws RefusedUrl, whose message never contains the URL: a URL may contain a secret. */
export function parseDestination(text: string, policy: UrlPolicy): Destination {
  // The URL parser removes tabs, newlines and spaces, and reads a backslash as a slash: a reviewer would read another URL.
  const hasUnsafeCharacters = /[\s\\\u0000-\u001f\u007f]/.test(text);
  if (text.length > maxUrlLength || hasUnsafeCharacters || !URL.canParse(text)) {
    throw new RefusedUrl(
      'url_invalid',
      `Give an absolute URL of up to ${maxUrlLength} characters, without spaces and backslashes.`,
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
    const message = `The URL must begin with ${formatSchemes(policy)}.${describeAllowing(policy)}`;
    throw new RefusedUrl('url_scheme_refused', message);
  }
  if (!policy.ports.includes(port)) {
    const message = `The URL's port must be ${policy.ports.join(' or ')}.${describeAllowing(policy)}`;
    throw new RefusedUrl('url_port_refused', message);
  }
  if (ipaddr.isValid(host)) assertPublic([host], policy);
  else if (!host.includes('.') || privateHostNames.test(host)) {
    const message = `The URL names a host that is not on the public internet.${describeAllowing(policy)}`;
    throw new RefusedUrl('url_host_refused', message);
  }
  return destination;
}

/** @throws RefusedUrl when any address of a host is not public, so that no order of attempts can reach it. */
export function assertPublic(
  addresses: readonly string[],
  policy: Pick<UrlPolicy, 'allowSetting'> = {},
): void {
  if (addresses.every((address) => findNonPublicReason(address) === null)) return;
  throw new RefusedUrl(
    'url_address_refused',
    `The URL resolves to an address that is not on the public internet.${describeAllowing(policy)}`,
  );
}

function toCanonicalHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '');
}

/** For an operator whose receiver is on the same machine or network. */
const describeAllowing = ({ allowSetting }: Pick<UrlPolicy, 'allowSetting'>) =>
  allowSetting ? ` In development, list the host in the setting ${allowSetting}.` : '';

const formatSchemes = ({ schemes }: UrlPolicy) => schemes.map((scheme) => `${scheme}://`).join(' or ');
