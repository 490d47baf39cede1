import { promises as dns, type LookupAddress } from "node:dns";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";

/** The `code` of errors of `resolveHost`, unless the cause is on this machine. */
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
  /** `address:port`; default: those of this machine. */
  nameServers?: readonly string[];
  /** Where `hosts`, `resolv.conf` and `nsswitch.conf` are. */
  etc?: string;
  /** For all name servers and names together. */
  timeoutMs?: number;
};

/** Shorter than the timeout of a connection, so that the error names DNS. */
const defaultTimeoutMs = 8_000;
/** The second and last try gets twice as long. */
const firstTryMs = 2_000;
/** How long to wait for the second family after the first: some name servers drop one of the two queries. */
const graceMs = 250;
const nobodyAnswers = "ECONNREFUSED";

/**
 * Finds all addresses of a host, IPv4 and IPv6, each once, as the machine's C library does: in the hosts file, then from
 * name servers, with the search domains.
 *
 * `dns.lookup` does the same, but occupies one of the process's four threads: a customer's name server that does not
 * answer would delay everything else. So it comes last, for names that only the machine knows (mDNS, its own name), and
 * only if DNS reports at once that the host does not exist.
 * @returns at least one address; those of one family if the other does not answer.
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

/** The `code` of an error; empty if it has none. */
export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

type Asked = { addresses: string[]; errors: unknown[] };

async function askNameServers(
  hostname: string,
  { nameServers, timeoutMs = defaultTimeoutMs }: ResolveOptions,
): Promise<Asked> {
  // A separate resolver, because `cancel` ends all queries of a resolver.
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
  const error = new Error(`No name server answered for ${hostname} within ${Math.round(timeoutMs)} ms`);
  return Object.assign(error, { code: "ETIMEOUT" });
}

function saysNothingIsThere(error: unknown): boolean {
  return ["ENOTFOUND", "ENODATA", nobodyAnswers].includes(errorCode(error));
}

let lastLookup: Promise<unknown> = Promise.resolve();

/** One at a time: a name can be made to hang in the system's own lookup, and would otherwise occupy every thread. */
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

/** How this machine finds hosts, besides name servers. */
type MachineNames = {
  /** Lower-case name → addresses, from the hosts file. Empty if DNS comes before it. */
  hosts: ReadonlyMap<string, readonly string[]>;
  /** Domains to append to a name. */
  search: readonly string[];
  /** A name with this many dots is first tried as it is. */
  ndots: number;
};

const etcDirectory =
  process.platform === "win32"
    ? join(process.env["SystemRoot"] ?? "C:\\Windows", "System32/drivers/etc")
    : "/etc";

/** Read for each connection, as the system does: a container's files may change while it runs. A missing file is empty. */
async function readMachineNames(etc: string): Promise<MachineNames> {
  const [hosts, resolver, order] = await Promise.all(
    ["hosts", "resolv.conf", "nsswitch.conf"].map((name) =>
      readFile(join(etc, name), "utf8").catch(() => ""),
    ),
  );
  const { search, ndots } = parseResolver(resolver ?? "");
  return { hosts: filesComeFirst(order ?? "") ? parseHosts(hosts ?? "") : new Map(), search, ndots };
}

/** See nsswitch.conf(5). Without that file, C libraries read the hosts file first. */
function filesComeFirst(nsswitch: string): boolean {
  const sources = /^\s*hosts:(.*)$/m.exec(nsswitch)?.[1]?.split(/\s+/) ?? ["files"];
  const files = sources.indexOf("files");
  const dns = sources.indexOf("dns");
  return files >= 0 && (dns < 0 || files < dns);
}

/** See hosts(5). Several lines may name a host. */
function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const key = withoutFinalDot(name.toLowerCase());
      hosts.set(key, [...(hosts.get(key) ?? []), address]);
    }
  }
  return hosts;
}

/** See resolv.conf(5). The last of `search` and `domain` counts. */
function parseResolver(text: string): Pick<MachineNames, "search" | "ndots"> {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const search = lines.findLast(([keyword]) => keyword === "search" || keyword === "domain")?.slice(1) ?? [];
  const options = lines.filter(([keyword]) => keyword === "options").flat();
  const ndots = Number(options.findLast((option) => /^ndots:\d+$/.test(option))?.slice("ndots:".length) ?? 1);
  return {
    search: search.map(withoutFinalDot).filter((domain) => domain !== ""),
    ndots: Math.min(ndots, 15),
  };
}

/** The names to try in order, until one has an address. A final dot prevents appending domains. */
function candidatesOf(hostname: string, { search, ndots }: Omit<MachineNames, "hosts">): string[] {
  if (hostname.endsWith(".")) return [hostname.slice(0, -1)];
  const completed = search.map((domain) => `${hostname}.${domain}`);
  const dots = hostname.split(".").length - 1;
  return dots >= ndots ? [hostname, ...completed] : [...completed, hostname];
}

function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, "");
}
