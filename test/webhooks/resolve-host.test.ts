import { createSocket } from "node:dgram";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { dnsErrorCodes, errorCode, resolveHost } from "../../src/webhooks/resolve-host.ts";
import { type DnsServer, dnsServer } from "../support/dns-server.ts";

let dns: DnsServer;
/** Of a machine that knows nothing itself. */
let etc: string;

beforeAll(async () => {
  dns = await dnsServer();
  etc = await mkdtemp(join(tmpdir(), "fanmail-etc-"));
});
afterAll(async () => {
  await dns?.close();
  await rm(etc, { recursive: true });
});

const resolve = (hostname: string, timeoutMs = 8_000) =>
  resolveHost(hostname, { nameServers: [dns.address], timeoutMs, etc });
const codeOf = (hostname: string, timeoutMs?: number) =>
  resolve(hostname, timeoutMs).then((addresses) => `found ${addresses}`, errorCode);

describe("resolveHost", () => {
  test("finds the addresses of both families, each once", async () => {
    dns.tell("both.test", ["192.0.2.1", "2001:db8::1", "192.0.2.2", "192.0.2.1"]);

    expect(await resolve("both.test")).toEqual(["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
  });

  test.each([
    ["fails", "SERVFAIL"],
    ["is not answered", "silence"],
    ["has nothing", []],
  ] as const)("finds those of one family when the other %s", async (_what, missing) => {
    dns.tell("four.test", { A: ["192.0.2.1"], AAAA: missing });
    dns.tell("six.test", { A: missing, AAAA: ["2001:db8::1"] });

    expect(await resolve("four.test", 300)).toEqual(["192.0.2.1"]);
    expect(await resolve("six.test", 300)).toEqual(["2001:db8::1"]);
  });

  test("says why there is none", async () => {
    dns.tell("empty.test", []);
    dns.tell("failing.test", "SERVFAIL");
    dns.tell("silent.test", "silence");
    dns.tell("unsure.test", { A: [], AAAA: "SERVFAIL" });

    const codes = await Promise.all([
      codeOf("nobody.test"),
      codeOf("empty.test"),
      codeOf("failing.test"),
      codeOf("silent.test", 300),
      codeOf("unsure.test"),
      codeOf("a..b"),
    ]);

    expect(codes).toEqual(["ENOTFOUND", "ENODATA", "ESERVFAIL", "ETIMEOUT", "ESERVFAIL", "EBADNAME"]);
    expect(dnsErrorCodes).toEqual(expect.arrayContaining(codes));
  });

  test("asks this machine, which knows localhost, where DNS has nothing or is not there", async () => {
    const closed = createSocket("udp4");
    await new Promise<void>((bound) => closed.bind(0, "127.0.0.1", bound));
    const nowhere = `127.0.0.1:${closed.address().port}`;
    await new Promise<void>((done) => closed.close(() => done()));

    const found = [
      await resolve("localhost"),
      await resolveHost("localhost", { nameServers: [nowhere], etc }),
    ];

    for (const addresses of found) {
      expect(addresses.length).toBeGreaterThan(0);
      expect(addresses.filter((address) => !isIP(address))).toEqual([]);
    }
    expect(
      errorCode(await resolveHost("nobody.invalid", { nameServers: [nowhere], etc }).catch((e) => e)),
    ).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
  });

  test("asks this machine nothing where DNS fails or is silent", async () => {
    dns.tell("localhost", "SERVFAIL");
    const failing = await codeOf("localhost");
    dns.tell("localhost", "silence");

    expect([failing, await codeOf("localhost", 300)]).toEqual(["ESERVFAIL", "ETIMEOUT"]);
  });

  test("that name servers are silent holds up nothing else", async () => {
    const names = Array.from({ length: 16 }, (_, number) => `silent-${number}.test`);
    for (const name of names) dns.tell(name, "silence");
    const questions = names.map((name) => codeOf(name, 1_000));

    const first = await Promise.race([...questions, stat(".").then(() => "file")]);

    expect(first).toBe("file");
    expect(await Promise.all(questions)).toEqual(names.map(() => "ETIMEOUT"));
  });

  test("waits a moment only for a family whose question is dropped", async () => {
    dns.tell("dropping.test", { A: ["192.0.2.1"], AAAA: "silence" });

    expect(await resolve("dropping.test")).toEqual(["192.0.2.1"]);
    // The second try comes after 2 s.
    expect(dns.asked.filter((question) => question === "AAAA dropping.test")).toHaveLength(1);
  });
});

describe("the files of the machine", () => {
  const files = (given: Record<string, string>) =>
    Promise.all(Object.entries(given).map(([name, text]) => writeFile(join(etc, name), text)));
  afterEach(() => files({ hosts: "", "resolv.conf": "", "nsswitch.conf": "" }));

  test("the hosts file comes before DNS, with and without a final dot", async () => {
    dns.tell("pinned.test", ["192.0.2.1"]);
    await files({
      hosts: "10.0.0.5 other.test Pinned.test # a comment\n::5\tpinned.test.\n",
      "nsswitch.conf": "",
    });

    expect(await resolve("pinned.test")).toEqual(["10.0.0.5", "::5"]);
    expect(await resolve("PINNED.test.")).toEqual(["10.0.0.5", "::5"]);
    expect(await codeOf("a.pinned.test")).toBe("ENOTFOUND");
  });

  test.each([
    ["hosts: files mdns4_minimal [NOTFOUND=return] dns", "10.0.0.5"],
    ["passwd: files\nhosts:\tfiles dns myhostname", "10.0.0.5"],
    ["hosts: dns files", "192.0.2.1"],
    ["hosts: dns", "192.0.2.1"],
  ])("nsswitch.conf with %j finds %s", async (order, address) => {
    dns.tell("pinned.test", ["192.0.2.1"]);
    await files({ hosts: "10.0.0.5 pinned.test", "nsswitch.conf": order });

    expect(await resolve("pinned.test")).toEqual([address]);
  });

  test("search domains complete names of few dots first, and others last", async () => {
    dns.tell("hook.apps.test", ["10.0.0.5"]);
    dns.tell("a.b.apps.test", ["10.0.0.6"]);
    dns.tell("a.b", ["192.0.2.1"]);
    await files({ "resolv.conf": "nameserver 192.0.2.53\nsearch none.test apps.test.\n" });

    expect(await resolve("hook")).toEqual(["10.0.0.5"]);
    expect(await resolve("a.b")).toEqual(["192.0.2.1"]);
    await files({ "resolv.conf": "domain apps.test\noptions timeout:1 ndots:5\n" });
    expect(await resolve("a.b")).toEqual(["10.0.0.6"]);
    // A final dot makes a name whole.
    expect(await resolve("a.b.")).toEqual(["192.0.2.1"]);
    expect(await codeOf("hook.")).toBe("ENOTFOUND");
  });
});
