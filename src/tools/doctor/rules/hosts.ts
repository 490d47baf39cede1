import type { HostFailure } from "../probe-host.ts";
import { spanText } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type ClockFact = FactOf<"clock">;

/** The least that our clock is off. */
const surelyOffMs = ({ aheadMs, uncertaintyMs }: ClockFact) => Math.max(0, Math.abs(aheadMs) - uncertaintyMs);
const offMs = 2_000;
const farOffMs = 60_000;

const clockOff = {
  area: "clock",
  say: ({ whose, aheadMs }: ClockFact) =>
    `Our clock is ${spanText(Math.abs(aheadMs) / 1000)} ${aheadMs > 0 ? "ahead of" : "behind"} ${whose}.`,
  remedy:
    "Set this machine's clock by NTP (timedatectl set-ntp true, or chrony), and the other clock likewise: receivers refuse webhooks whose time is more than five minutes off, and AWS refuses calls.",
} as const;

const clockRules = [
  rule("clock", {
    code: "clock",
    area: "clock",
    level: "ok",
    when: (fact) => surelyOffMs(fact) <= offMs && fact,
    say: ({ whose }) => `Our clock agrees with ${whose}.`,
  }),
  rule("clock", {
    ...clockOff,
    code: "clock-off",
    level: "warn",
    when: (fact) => surelyOffMs(fact) > offMs && surelyOffMs(fact) <= farOffMs && fact,
  }),
  rule("clock", {
    ...clockOff,
    code: "clock-far-off",
    level: "fail",
    when: (fact) => surelyOffMs(fact) > farOffMs && fact,
  }),
  rule("no-clock-of-aws", {
    code: "clock-of-aws-unknown",
    area: "clock",
    level: "skipped",
    when: (fact) => fact,
    say: "Our clock was not compared with that of AWS, which was not reached.",
  }),
];

type Away = { host: string; what: string; remedy: string };

const explanations: Record<HostFailure, Omit<Away, "host">> = {
  dns: {
    what: "is not found by DNS",
    remedy: "Check the name servers of this machine or container (getent hosts, /etc/resolv.conf).",
  },
  refused: {
    what: "refuses or drops the connection",
    remedy: "Allow outgoing TCP to port 443 in firewall and security group.",
  },
  "time-out": {
    what: "does not answer in time",
    remedy:
      "Allow outgoing TCP to port 443; in a private subnet add a NAT gateway or a VPC endpoint for SNS.",
  },
  tls: {
    what: "presents a TLS certificate that is not trusted, as with a proxy that intercepts TLS",
    remedy:
      "Exempt it from interception, or trust the proxy's authority with NODE_EXTRA_CA_CERTS=/path/to/ca.pem.",
  },
  unreachable: {
    what: "cannot be reached",
    remedy: "Check routes, firewall and IPv6 of this machine.",
  },
};

function away({ host, outcome }: FactOf<"host">): Away | null {
  if (outcome.kind === "answered") return null;
  const { what, remedy } = explanations[outcome.kind];
  return { host, what: `${host} ${what} (${outcome.text})`, remedy };
}

const certificateRules = [
  rule("no-host", {
    code: "certificate-host-unknown",
    area: "certificate",
    level: "skipped",
    when: (fact) => fact,
    say: "Doctor asked no host of AWS: without a topic it does not know which one signs.",
  }),
  rule("host", {
    code: "certificate-host",
    area: "certificate",
    level: "ok",
    when: ({ host, outcome }) => outcome.kind === "answered" && { host },
    say: ({ host }) => `${host} answers over TLS, so certificates for signatures can be fetched.`,
  }),
  rule("host", {
    code: "certificate-host-away-with-local",
    area: "certificate",
    level: "warn",
    when: (fact) => fact.hasLocalCertificate && away(fact),
    say: ({ what }) => `${what}; messages signed with the key of SNS_LOCAL_CERTS are accepted without it.`,
    remedy: ({ remedy }) => remedy,
  }),
  rule("host", {
    code: "certificate-host-away",
    area: "certificate",
    level: "fail",
    when: (fact) => !fact.hasLocalCertificate && away(fact),
    say: ({ what }) => `${what}, so signatures cannot be verified and SNS is answered 503.`,
    remedy: ({ host, remedy }) =>
      `${remedy} fanmail must reach ${host}:443 directly: the service uses no HTTP proxy.`,
  }),
];

export const hostRules = [...clockRules, ...certificateRules];
