/**
 * Decides whether an address is on the public internet, by an allow-list: IPv6 addresses of global unicast, and IPv4
 * addresses that no special-purpose registry contains.
 *
 * Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), as `ipaddr.js` holds them; embedded
 * IPv4 addresses by RFC 4291 §2.5.5 (mapped), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 5214 §6.1 (ISATAP).
 */
import ipaddr from 'ipaddr.js';

/** Addresses that are public by their registry but internal to a cloud. */
const cloudInternalRanges: readonly (readonly [string, number])[] = [
  ['168.63.129.16', 32], // Azure: WireServer, DHCP and health probes of the host
];

/** 2000::/3, the only range that IANA has assigned as global unicast (RFC 4291 §2.4). */
const globalUnicast: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];
/** The well-known NAT64 prefix. The local-use prefix 64:ff9b:1::/48 leads into a private network and is refused. */
const nat64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96];

/** @param address without brackets. @returns the registry's name of the non-public range; null for a public address. */
export function findNonPublicReason(address: string): string | null {
  if (!ipaddr.isValid(address)) return 'invalid';
  const parsed = ipaddr.parse(address);
  return parsed instanceof ipaddr.IPv6 ? findNonPublicV6Reason(parsed) : findNonPublicV4Reason(parsed);
}

function findNonPublicV4Reason(address: ipaddr.IPv4): string | null {
  const range = address.range();
  if (range !== 'unicast') return range;
  return cloudInternalRanges.some(([base, bits]) => address.match(ipaddr.IPv4.parse(base), bits))
    ? 'cloud'
    : null;
}

function findNonPublicV6Reason(address: ipaddr.IPv6): string | null {
  if (address.zoneId) return 'zoned';
  if (address.isIPv4MappedAddress()) return findNonPublicV4Reason(address.toIPv4Address());
  // A resolver behind NAT64 returns such an address for every IPv4-only host: the embedded address decides.
  if (address.match(nat64)) return findNonPublicV4Reason(new ipaddr.IPv4(address.toByteArray().slice(12)));
  const range = address.range();
  if (range !== 'unicast') return range;
  if (!address.match(globalUnicast)) return 'reserved';
  const [group] = [address.parts[4]! & ~0x0200];
  return group === 0 && address.parts[5] === 0x5efe ? 'isatap' : null;
}
