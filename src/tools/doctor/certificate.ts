import { fail, type Observation, ok, warn } from "./check.ts";
import type { HostAnswer, HostFailure } from "./probe-host.ts";

/** @param localUrls of certificates that SNS_LOCAL_CERTS puts in place of AWS's. */
export function lookAtCertificateHost(
  { host, outcome }: HostAnswer,
  localUrls: readonly string[],
): Observation[] {
  if (outcome.kind === "answered") {
    return [ok(`${host} answers over TLS, so that certificates for signatures can be fetched.`)];
  }
  const [what, remedy] = explanations[outcome.kind];
  const told = `${host} ${what} (${outcome.text})`;
  if (localUrls.some((url) => new URL(url).host === host)) {
    return [
      warn(`${told}; messages signed with the key of SNS_LOCAL_CERTS are accepted without it.`, remedy),
    ];
  }
  return [
    fail(
      `${told}, so that signatures cannot be verified and SNS is answered 503.`,
      `${remedy} fanmail must reach ${host}:443 on its own: the service uses no HTTP proxy.`,
    ),
  ];
}

const explanations: Record<HostFailure, [string, string]> = {
  dns: [
    "is not found by DNS",
    "Check the name servers of this machine or container (getent hosts, /etc/resolv.conf).",
  ],
  refused: [
    "refuses or breaks off the connection",
    "Allow outgoing TCP to port 443 in firewall and security group.",
  ],
  "time-out": [
    "does not answer in time",
    "Allow outgoing TCP to port 443; in a private subnet add a NAT gateway or a VPC endpoint for SNS.",
  ],
  tls: [
    "shows a TLS certificate that is not trusted, as with a proxy that intercepts TLS",
    "Exempt it from interception, or trust the proxy's authority with NODE_EXTRA_CA_CERTS=/path/to/ca.pem.",
  ],
  unreachable: ["cannot be reached", "Check routes, firewall and IPv6 of this machine."],
};
