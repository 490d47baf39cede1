import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";

/** How this machine finds hosts, besides asking name servers. */
export type MachineNames = {
  /** Lower-case name → addresses, of the hosts file. Empty where it does not come before DNS. */
  hosts: ReadonlyMap<string, readonly string[]>;
  /** Domains that complete a name. */
  search: readonly string[];
  /** A name with so many dots is asked for as it is first. */
  ndots: number;
};

/** Where systems keep it. */
export const etcDirectory =
  process.platform === "win32"
    ? join(process.env["SystemRoot"] ?? "C:\\Windows", "System32/drivers/etc")
    : "/etc";

/** Read for each connection, as the system does: a container's files may change while it runs. A file that is not there is empty. */
export async function readMachineNames(etc: string): Promise<MachineNames> {
  const [hosts, resolver, order] = await Promise.all(
    ["hosts", "resolv.conf", "nsswitch.conf"].map((name) =>
      readFile(join(etc, name), "utf8").catch(() => ""),
    ),
  );
  const { search, ndots } = parseResolver(resolver ?? "");
  return { hosts: filesComeFirst(order ?? "") ? parseHosts(hosts ?? "") : new Map(), search, ndots };
}

/** See nsswitch.conf(5). Without that file, C libraries look into the hosts file first. */
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

/** The names to ask for, one after the other, until there is an address. A final dot makes a name whole. */
export function candidatesOf(hostname: string, { search, ndots }: Omit<MachineNames, "hosts">): string[] {
  if (hostname.endsWith(".")) return [hostname.slice(0, -1)];
  const completed = search.map((domain) => `${hostname}.${domain}`);
  const dots = hostname.split(".").length - 1;
  return dots >= ndots ? [hostname, ...completed] : [...completed, hostname];
}

export function withoutFinalDot(name: string): string {
  return name.replace(/\.$/, "");
}
