import { createSocket } from "node:dgram";
import { stat } from "node:fs/promises";
import { isIP } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dnsErrorCodes, errorCode, resolveHost } from "../../src/webhooks/resolve-host.ts";
import { type DnsServer, dnsServer } from "../support/dns-server.ts";

let dns: DnsServer;

beforeAll(async () => {
  dns = await dnsServer();
});
afterAll(() => dns?.close());

const resolve = (hostname: string, timeoutMs = 8_000) =>
  resolveHost(hostname, { nameServers: [dns.address], timeoutMs });
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

    const found = [await resolve("localhost"), await resolveHost("localhost", { nameServers: [nowhere] })];

    for (const addresses of found) {
      expect(addresses.length).toBeGreaterThan(0);
      expect(addresses.filter((address) => !isIP(address))).toEqual([]);
    }
    expect(
      errorCode(await resolveHost("nobody.invalid", { nameServers: [nowhere] }).catch((e) => e)),
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
});
