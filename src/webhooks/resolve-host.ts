import { promises as dns, type LookupAddress } from "node:dns";
import { once } from "node:events";
import { candidatesOf, etcDirectory, readMachineNames, withoutFinalDot } from "./machine-names.ts";

/** What the errors of `resolveHost` have as their `code`, unless this machine is at fault. */
export const dnsErrorCodes: readonly string[] = [
  "ENOTFOUND",
  "ENODATA",
  "EBADNAME",
  "ETIMEOUT",
  "ESERVFAIL",
  "EREFUSED",
  "EFORMERR",
  "EBADRESP",
  "EBADQUERY",
  "ENOTIMP",
  "EAI_AGAIN",
  "EAI_FAIL",
  "EAI_NODATA",
  "EAI_NONAME",
];

export type ResolveHost = (hostname: string) => Promise<string[]>;

type ResolveOptions = {
  /** `address:port`; those of this machine unless given. */
  nameServers?: readonly string[];
  /** Where `hosts`, `resolv.conf` and `nsswitch.conf` are. */
  etc?: string;
  /** For all name servers together. */
  timeoutMs?: number;
};

/** Less than connecting has altogether, so that it is DNS that is blamed. */
const defaultTimeoutMs = 8_000;
/** The second try, which is the last, has twice as long. */
const firstTryMs = 2_000;
/** Once there are addresses of one family, those of the other have so long to come: some name servers drop one question. */
const graceMs = 250;
const nobodyAnswers = "ECONNREFUSED";

/**
 * Finds all addresses of a host, IPv4 and IPv6, each once, as the C library of this machine does: in the hosts file, then
 * from name servers, with the search domains.
 *
 * `dns.lookup` would do all of it, but occupies one of the four threads that all of a process shares: one customer's name
 * server that does not answer would hold up everybody else. It comes last, for what only the machine knows (mDNS, its
 * own name), and only where DNS says at once that there is nothing.
 * @returns at least one address. When the answer of one family is missing, those of the other: nobody looks further.
 * @throws an error whose `code` is one of `dnsErrorCodes`.
 */
export async function resolveHost(hostname: string, options: ResolveOptions = {}): Promise<string[]> {
  const { etc = etcDirectory, timeoutMs = defaultTimeoutMs } = options;
  const endMs = performance.now() + timeoutMs;
  const machine = await readMachineNames(etc);
  const known = machine.hosts.get(withoutFinalDot(hostname.toLowerCase()));
  if (known !== undefined) return [...new Set(known)];
  const errors: unknown[] = [];
  for (const name of candidatesOf(hostname, machine)) {
    const leftMs = Math.max(1, endMs - performance.now());
    const asked = await askNameServers(name, { ...options, timeoutMs: leftMs });
    if (asked.addresses.length > 0) return asked.addresses;
    errors.push(...asked.errors);
    if (performance.now() >= endMs) break;
  }
  const unsure = errors.find((error) => !saysNothingIsThere(error));
  if (unsure !== undefined) throw unsure;
  try {
    return await lookUpInTurn(hostname, timeoutMs);
  } catch (error) {
    // If a name server answered, report its error rather than that of the machine's own lookup.
    throw errors.find((said) => errorCode(said) !== nobodyAnswers) ?? error;
  }
}

/** The `code` of an error; empty when it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

type Asked = { addresses: string[]; errors: unknown[] };

async function askNameServers(
  hostname: string,
  { nameServers, timeoutMs = defaultTimeoutMs }: ResolveOptions,
): Promise<Asked> {
  // One of its own, because giving up cancels all that a resolver was asked.
  const resolver = new dns.Resolver({ timeout: Math.ceil(Math.min(firstTryMs, timeoutMs)), tries: 2 });
  if (nameServers) resolver.setServers(nameServers);
  const timers = [setTimeout(() => resolver.cancel(), timeoutMs)];
  const ask = async (question: Promise<string[]>): Promise<string[]> => {
    try {
      const addresses = await question;
      timers.push(setTimeout(() => resolver.cancel(), graceMs));
      return addresses;
    } catch (error) {
      throw errorCode(error) === "ECANCELLED" ? timeoutError(hostname, timeoutMs) : error;
    }
  };
  const answers = await Promise.allSettled([
    ask(resolver.resolve4(hostname)),
    ask(resolver.resolve6(hostname)),
  ]);
  for (const timer of timers) clearTimeout(timer);
  return {
    addresses: [...new Set(answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : [])))],
    errors: answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : [])),
  };
}

function timeoutError(hostname: string, timeoutMs: number): Error {
  const error = new Error(`No name server told the address of ${hostname} in ${Math.round(timeoutMs)} ms`);
  return Object.assign(error, { code: "ETIMEOUT" });
}

function saysNothingIsThere(error: unknown): boolean {
  return ["ENOTFOUND", "ENODATA", nobodyAnswers].includes(errorCode(error));
}

let lastLookup: Promise<unknown> = Promise.resolve();

/** One at a time: a name may be made to hang for the system's own question alone, and would then occupy every thread. */
async function lookUpInTurn(hostname: string, timeoutMs: number): Promise<string[]> {
  const late = AbortSignal.timeout(timeoutMs);
  const found = lastLookup.then((): Promise<LookupAddress[]> => {
    late.throwIfAborted();
    return dns.lookup(hostname, { all: true });
  });
  lastLookup = Promise.allSettled([found]);
  const isLate = once(late, "abort").then(() => {
    throw timeoutError(hostname, timeoutMs);
  });
  const addresses = await Promise.race([found, isLate]);
  return [...new Set(addresses.map(({ address }) => address))];
}
