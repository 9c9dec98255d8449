/**
 * Which addresses a tool may connect to.
 *
 * Covered: names and literal addresses that lead to this machine, its network, link-local and metadata services, multicast and
 * reserved ranges, IPv4 inside IPv6, and names that change their answer between check and connect: the check is made on the
 * address that the socket is about to use. Not covered: a public address that forwards inward.
 */
import { type LookupAddress, type LookupAllOptions, lookup as systemLookup } from "node:dns"
import { BlockList, isIP, type LookupFunction } from "node:net"

/** As `dns.lookup` with `all`; given by tests. */
export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** True for an address that IANA's special-purpose registries leave to public use. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return false
  if (family === 4) return !special.check(address, "ipv4")
  const inner = embeddedIPv4(address)
  if (inner !== null) return isPublicAddress(inner)
  return globalUnicast.check(address, "ipv6") && !special.check(address, "ipv6")
}

/** A lookup for sockets that answers only with public addresses, and fails when there is none. */
export function publicLookup(resolve: Resolve = systemLookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, "", 0)
      const [first] = addresses
      const hidden = addresses.find(({ address }) => !isPublicAddress(address))
      if (hidden || !first) return callback(new PrivateAddress(hostname), "", 0)
      if (options.all) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }
}

/** The refusal of `publicLookup`. One private address among public ones is enough. */
export class PrivateAddress extends Error {
  readonly code = "PRIVATE_ADDRESS"
  constructor(hostname: string) {
    super(`${hostname} leads to an address that is not public`)
  }
}

/** IPv4 in the last bits: mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96), 6to4 (2002::/16). */
function embeddedIPv4(address: string): string | null {
  const groups = expand(address)
  const dotted = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join(".")
  const start = groups.slice(0, 6).join(":")
  if (start === "0:0:0:0:0:65535" || start === "100:65435:0:0:0:0") return dotted(groups[6]!, groups[7]!)
  if (groups[0] === 0x2002) return dotted(groups[1]!, groups[2]!)
  return null
}

/** The eight groups of an IPv6 address as numbers. */
function expand(address: string): number[] {
  const canonical = new URL(`http://[${address.split("%")[0]}]/`).hostname.slice(1, -1)
  const [head = "", tail] = canonical.split("::")
  const numbers = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)))
  if (tail === undefined) return numbers(head)
  const [left, right] = [numbers(head), numbers(tail)]
  return [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
}

/** Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its successors). */
const special = new BlockList()
for (const [network, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const)
  special.addSubnet(network, bits, "ipv4")
for (const [network, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["3fff::", 20],
  ["2620:4f:8000::", 48],
] as const) {
  special.addSubnet(network, bits, "ipv6")
}
const globalUnicast = new BlockList()
globalUnicast.addSubnet("2000::", 3, "ipv6")
