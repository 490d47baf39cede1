import { createHmac } from "node:crypto";
import { type Address, domainOf } from "../../domain/address.ts";

/** What stands in place of what is personal: the same for the same, as long as the secret is the same. */
export type Pseudonyms = {
  /** Keeps apart whom the matched form keeps apart, and keeps together who are of one domain. */
  ofAddress(address: Pick<Address, "matched">): string;
  ofIp(ip: string): string;
  ofSubject(subject: string): string;
};

/** Nobody can have an address below it (RFC 2606), so that nothing ever reaches anybody. */
const reservedDomain = "example.com";

/** Mailbox providers with millions of users tell nothing of one of them, and much of how mail behaves. */
const providers: ReadonlyMap<string, string> = new Map([
  ["gmail.com", "gmail"],
  ["googlemail.com", "gmail"],
  ["outlook.com", "outlook"],
  ["hotmail.com", "outlook"],
  ["live.com", "outlook"],
  ["msn.com", "outlook"],
  ["yahoo.com", "yahoo"],
  ["icloud.com", "icloud"],
  ["me.com", "icloud"],
  ["aol.com", "aol"],
  ["gmx.de", "gmx"],
  ["gmx.net", "gmx"],
  ["web.de", "web-de"],
  ["proton.me", "proton"],
]);

/** @param secret key of the HMAC: without it nobody can try addresses until a pseudonym fits. */
export function pseudonymsOf(secret: string | Uint8Array): Pseudonyms {
  const hash = (kind: string, value: string) =>
    createHmac("sha256", secret).update(`${kind}\n${value}`).digest("hex");
  const ofDomain = (domain: string) =>
    `${providers.get(domain) ?? `domain-${hash("domain", domain).slice(0, 8)}`}.${reservedDomain}`;
  return {
    // 48 bits: of a million people no two are likely to share one.
    ofAddress: ({ matched }) =>
      `person-${hash("address", matched).slice(0, 12)}@${ofDomain(domainOf(matched))}`,
    ofIp: (ip) => ipOf(hash("ip", ip.toLowerCase()), ip.includes(":")),
    ofSubject: (subject) => `Subject ${hash("subject", subject).slice(0, 8)}`,
  };
}

/** Of networks that are nobody's: 198.18.0.0/15 (RFC 2544) and 2001:db8::/32 (RFC 3849). */
function ipOf(hash: string, isVersion6: boolean): string {
  if (isVersion6) return `2001:db8::${hash.slice(0, 16).replaceAll(/(.{4})(?=.)/g, "$1:")}`;
  const bits = Number.parseInt(hash.slice(0, 8), 16);
  return `198.${18 + (bits & 1)}.${(bits >> 8) & 255}.${(bits >> 16) & 255}`;
}
