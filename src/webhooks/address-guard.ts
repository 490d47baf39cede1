import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { dnsErrorCodes, errorCode, type ResolveHost, resolveHost as resolveByDns } from "./resolve-host.ts";

export type WebProtocol = "https:" | "http:";
type CheckedAddress = { address: string; family: 4 | 6 };

/** Decides where webhooks may go: to the public internet over https, and to `WEBHOOK_ALLOWED_CIDRS` over http too. */
export type AddressGuard = {
  /** Whether an IP address may be connected to. False for addresses with a zone and for unusual spellings. */
  isAllowed(address: string, protocol: WebProtocol): boolean;
  /**
   * Checks the URL of an endpoint before it is stored. A failing name server is ignored: every connection is checked again.
   * @param url as `readEndpointUrl` returns it.
   * @returns null, or the problem, as a text that follows the field's name.
   */
  check(url: string): Promise<string | null>;
  /**
   * The addresses to connect to, all of which are allowed.
   * @param hostname a name or an IP address.
   * @throws BlockedAddressError if any of them is not allowed, and the errors of `resolveHost`.
   */
  addressesFor(hostname: string, protocol: WebProtocol): Promise<CheckedAddress[]>;
};

/** The host has an address that may not be connected to. */
export class BlockedAddressError extends Error {
  override readonly name = "BlockedAddressError";
  readonly code = "FANMAIL_BLOCKED_ADDRESS";
  readonly problem: string;

  /** @param problem a text that follows the host. */
  constructor(host: string, problem: string) {
    super(`Nothing is sent to ${host}, which ${problem}`);
    this.problem = problem;
  }
}

/**
 * @param allowedCidrs networks to allow besides the public internet.
 * @param resolveHost finds all addresses of a host; default: DNS.
 */
export function createAddressGuard({
  allowedCidrs,
  resolveHost = resolveByDns,
}: {
  allowedCidrs: readonly string[];
  resolveHost?: ResolveHost | undefined;
}): AddressGuard {
  const allowed = allowedCidrs.map((cidr) => ipaddr.parseCIDR(cidr));

  function isAllowed(address: string, protocol: WebProtocol): boolean {
    // ipaddr.js also reads octal, hexadecimal and short forms, which others may read as another address.
    if (isIP(address) === 0 || address.includes("%")) return false;
    // A connection to a mapped address goes to the IPv4 address inside it.
    const reached = ipaddr.process(address);
    if (allowed.some(([network, bits]) => isWithin(reached, network, bits))) return true;
    return protocol === "https:" && isPublic(ipaddr.parse(address));
  }

  function problemOf(host: string, address: string, protocol: WebProtocol): string {
    if (protocol === "http:" && isAllowed(address, "https:")) {
      return `must be https: ${address} is not in WEBHOOK_ALLOWED_CIDRS`;
    }
    const verb = host === address ? "is at" : "resolves to";
    return `${verb} ${address}, which is not a public address (WEBHOOK_ALLOWED_CIDRS can allow it)`;
  }

  async function addressesFor(hostname: string, protocol: WebProtocol): Promise<CheckedAddress[]> {
    const host = withoutBrackets(hostname);
    const addresses = isIP(host) === 0 ? await resolveHost(host) : [host];
    const blocked = addresses.find((address) => !isAllowed(address, protocol));
    if (blocked !== undefined) throw new BlockedAddressError(host, problemOf(host, blocked, protocol));
    return addresses.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 }));
  }

  return {
    isAllowed,
    addressesFor,
    async check(url) {
      const { hostname, protocol } = new URL(url);
      try {
        await addressesFor(hostname, protocol === "https:" ? "https:" : "http:");
        return null;
      } catch (error) {
        return refusalOf(error, hostname);
      }
    },
  };
}

function refusalOf(error: unknown, hostname: string): string | null {
  if (error instanceof BlockedAddressError) return error.problem;
  const code = errorCode(error);
  if (["ENOTFOUND", "ENODATA", "EBADNAME"].includes(code)) {
    return `cannot be resolved: there is no host "${hostname}"`;
  }
  if (dnsErrorCodes.includes(code)) return null;
  throw error;
}

/** Looks public, but is the metadata service of Azure. */
const azureHost = "168.63.129.16";
/** All public IPv6. Addresses outside have special purposes or contain another address. */
const globalUnicast = ipaddr.IPv6.parseCIDR("2000::/3");

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast") return false;
  if (address.kind() === "ipv4") return address.toString() !== azureHost;
  return isWithin(address, ...globalUnicast) && !isIsatap(address.toByteArray());
}

/** A tunnel would connect to the IPv4 address in the second half: RFC 5214, section 6.1. */
function isIsatap(bytes: readonly number[]): boolean {
  const identifier = Buffer.from(bytes).toString("hex", 8, 12);
  return identifier === "00005efe" || identifier === "02005efe";
}

function isWithin(
  address: ipaddr.IPv4 | ipaddr.IPv6,
  network: ipaddr.IPv4 | ipaddr.IPv6,
  bits: number,
): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

function withoutBrackets(hostname: string): string {
  return hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
}
