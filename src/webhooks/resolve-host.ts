import { promises as dns, type LookupAddress } from "node:dns";
import { once } from "node:events";

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
  /** For all name servers together. */
  timeoutMs?: number;
};

/** Less than connecting has altogether, so that it is DNS that is blamed. */
const defaultTimeoutMs = 8_000;
/** The second try, which is the last, has twice as long. */
const firstTryMs = 2_000;
const nobodyAnswers = "ECONNREFUSED";

/**
 * Finds all addresses of a host, IPv4 and IPv6, each once.
 *
 * Name servers are asked without `dns.lookup`, which occupies one of the four threads that all of a process shares: one
 * customer's name server that does not answer would hold up everybody else. `lookup` comes second, for names that
 * only this machine knows (`/etc/hosts`, search domains), and only where DNS says at once that there is nothing.
 * @returns at least one address. When the answer of one family is missing, those of the other: nobody looks further.
 * @throws an error whose `code` is one of `dnsErrorCodes`.
 */
export async function resolveHost(hostname: string, options: ResolveOptions = {}): Promise<string[]> {
  const answers = await askNameServers(hostname, options);
  const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (addresses.length > 0) return [...new Set(addresses)];
  const errors: unknown[] = answers.flatMap((answer) => (answer.status === "rejected" ? answer.reason : []));
  const unsure = errors.find((error) => !saysNothingIsThere(error));
  if (unsure !== undefined) throw unsure;
  try {
    return await lookUpInTurn(hostname, options.timeoutMs ?? defaultTimeoutMs);
  } catch (error) {
    // Where a name server has spoken, that this machine knows no more is not the reason.
    throw errors.find((said) => errorCode(said) !== nobodyAnswers) ?? error;
  }
}

/** The `code` of an error; empty when it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

async function askNameServers(
  hostname: string,
  { nameServers, timeoutMs = defaultTimeoutMs }: ResolveOptions,
): Promise<PromiseSettledResult<string[]>[]> {
  // One of its own, because giving up cancels all that a resolver was asked.
  const resolver = new dns.Resolver({ timeout: Math.min(firstTryMs, timeoutMs), tries: 2 });
  if (nameServers) resolver.setServers(nameServers);
  const giveUp = setTimeout(() => resolver.cancel(), timeoutMs);
  const rethrow = (error: unknown) => {
    throw errorCode(error) === "ECANCELLED" ? timeoutError(hostname, timeoutMs) : error;
  };
  try {
    return await Promise.allSettled([
      resolver.resolve4(hostname).catch(rethrow),
      resolver.resolve6(hostname).catch(rethrow),
    ]);
  } finally {
    clearTimeout(giveUp);
  }
}

function timeoutError(hostname: string, timeoutMs: number): Error {
  const error = new Error(`No name server told the address of ${hostname} in ${timeoutMs} ms`);
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
