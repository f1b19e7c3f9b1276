/**
 * Whether an address is one of the public internet. What is not allowed is refused: of IPv6 only global unicast, of
 * IPv4 only what no special-purpose registry names.
 *
 * Sources: IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), as `ipaddr.js` holds them; embedded
 * IPv4 addresses by RFC 4291 §2.5.5 (mapped), RFC 6052 (NAT64), RFC 3056 (6to4), RFC 5214 §6.1 (ISATAP).
 */
import ipaddr from 'ipaddr.js';

/** Addresses that routers take for public, and that only a cloud's own machines answer on. */
const cloudInternalRanges: readonly (readonly [string, number])[] = [
  ['168.63.129.16', 32], // Azure: WireServer, DHCP and health probes of the host
];

/** 2000::/3, all that IANA has handed out as global unicast (RFC 4291 §2.4). */
const globalUnicast: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3];
/** The well-known NAT64 prefix; the local-use one beside it (64:ff9b:1::/48) leads into a private network. */
const nat64: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('64:ff9b::'), 96];

/** @param address without brackets. @returns why it is not public, as a registry's word; null where it is public. */
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
  // A resolver behind NAT64 answers so for every host that has IPv4 only: what counts is the address within.
  if (address.match(nat64)) return findNonPublicV4Reason(new ipaddr.IPv4(address.toByteArray().slice(12)));
  const range = address.range();
  if (range !== 'unicast') return range;
  if (!address.match(globalUnicast)) return 'reserved';
  const [group] = [address.parts[4]! & ~0x0200];
  return group === 0 && address.parts[5] === 0x5efe ? 'isatap' : null;
}
