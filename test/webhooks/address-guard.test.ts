import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { readEndpointUrl } from "../../src/domain/webhooks/endpoint-url.ts";
import { createAddressGuard } from "../../src/webhooks/address-guard.ts";
import type { WebhookConnections } from "../../src/webhooks/connections.ts";
import { bind, blocked, GuardedConnections } from "./guarded-connections.ts";
import { otherSpellings, spellingsOfThisMachine, spellingsOfThisMachineInIpv6 } from "./ssrf-corpus.ts";

const at = new GuardedConnections();
const { guardFor, connectionsBy, withPort, post } = at;
let unguarded: WebhookConnections;

beforeAll(() => {
  unguarded = connectionsBy(guardFor(["0.0.0.0/0", "::/0"]));
});

const inPlainHttp = (url: string) => url.replace(/https(?=:)/i, "http");

/** Why an endpoint with this URL is refused; null when it is not. */
async function refusal(text: string): Promise<string | null> {
  const read = readEndpointUrl(text);
  return "problem" in read ? read.problem : at.guard.check(read.url);
}

describe("hostile URLs", () => {
  test.each([...spellingsOfThisMachine, ...spellingsOfThisMachineInIpv6])(
    "%j is refused, and no connection is made",
    async (spelling) => {
      const before = at.listener.connections;
      for (const url of [withPort(spelling), inPlainHttp(withPort(spelling))]) {
        expect(await refusal(url)).toEqual(expect.any(String));
        expect(await post(url)).toBe(blocked);
      }
      expect(at.listener.connections - before).toBe(0);
    },
  );

  test.each(otherSpellings)("%j is refused, and no connection is made", async (spelling) => {
    const before = at.listener.connections;
    for (const url of [withPort(spelling), inPlainHttp(withPort(spelling))]) {
      expect(await refusal(url)).toEqual(expect.any(String));
      expect(await post(url)).toMatch(/^(FANMAIL_BLOCKED_ADDRESS|ERR_INVALID_URL|ENOTFOUND|EBADNAME)$/);
    }
    expect(at.listener.connections - before).toBe(0);
  });

  test.each(spellingsOfThisMachine)(
    "%j reaches the listener where everything is allowed",
    async (spelling) => {
      const before = at.listener.requests;
      expect(await post(inPlainHttp(withPort(spelling)), unguarded)).toBe(200);
      expect(at.listener.requests - before).toBe(1);
    },
  );

  test("a name that resolves elsewhere once it was checked is not connected to", async () => {
    at.dns.tell("rebinding.test", ["1.1.1.1"], ["127.0.0.1"]);
    const url = withPort("https://rebinding.test:PORT/");
    const before = at.listener.connections;

    expect(await refusal(url)).toBeNull();
    expect(await post(url)).toBe(blocked);
    expect(at.listener.connections - before).toBe(0);
  });

  test("an answer that redirects to this machine is not followed", async () => {
    const redirecting = createHttpServer((_request, response) => {
      response.writeHead(302, { location: withPort("http://127.0.0.1:PORT/") }).end();
    });
    await bind(redirecting, 0, "127.0.0.1");
    at.dns.tell("redirecting.test", ["127.0.0.1"]);
    const { port } = redirecting.address() as AddressInfo;
    const before = at.listener.connections;
    const by = connectionsBy(guardFor(["127.0.0.1/32"]));

    expect(await post(`http://redirecting.test:${port}/`, by)).toBe(302);
    expect(at.listener.connections - before).toBe(0);
    by.destroy();
    redirecting.close();
  });
});

describe("the guard", () => {
  test.each([
    ["https://10.0.0.5/", /^is at 10\.0\.0\.5, which is not a public address/],
    ["https://[fe80::1]/", /^is at fe80::1, which is not a public address/],
    ["https://private.test/", /^resolves to 10\.0\.0\.5, which is not a public address/],
    ["http://10.0.0.5/", /^is at 10\.0\.0\.5, which is not a public address/],
    ["http://1.1.1.1/", /^must be https: 1\.1\.1\.1 is not in WEBHOOK_ALLOWED_CIDRS$/],
    ["https://nobody.test/", /^cannot be resolved: there is no host "nobody\.test"$/],
    ["https://a..b/", /^cannot be resolved: there is no host "a\.\.b"$/],
  ])("says what is wrong with %s", async (url, problem) => {
    expect(await at.guard.check(url)).toMatch(problem);
  });

  test("lets a name pass of which DNS cannot say anything now; it is looked at again", async () => {
    at.dns.tell("failing.test", "SERVFAIL");
    at.dns.tell("silent.test", "silence");

    expect([
      await at.guard.check("https://failing.test/"),
      await at.guard.check("https://silent.test/"),
    ]).toEqual([null, null]);
    expect(await post("https://failing.test/")).toBe("ESERVFAIL");
  });

  test("lets no fault of this machine pass", async () => {
    const resolve = () => Promise.reject(Object.assign(new Error("too many"), { code: "EMFILE" }));
    const broken = createAddressGuard({ allowedCidrs: [], resolveHost: resolve });

    await expect(broken.check("https://example.com/")).rejects.toThrow("too many");
  });

  test.each(["1.1.1.1", "8.8.8.8", "172.32.0.1", "168.63.129.17", "2606:4700:4700::1111", "2a00:1450::8844"])(
    "allows %s by https alone",
    (address) => {
      expect([at.guard.isAllowed(address, "https:"), at.guard.isAllowed(address, "http:")]).toEqual([
        true,
        false,
      ]);
    },
  );

  test.each([
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "localhost",
    "[1.1.1.1]",
    "2a00::1%eth0",
    "",
  ])("takes %j for no address, whatever is allowed", (text) => {
    expect(guardFor(["0.0.0.0/0", "::/0"]).isAllowed(text, "https:")).toBe(false);
  });

  test("allows what is in the networks that are allowed, by http too, and their mapped forms", () => {
    const inside = guardFor(["10.0.0.0/8", "fd00::/8", "168.63.129.16/32"]);
    const isAllowed = (address: string) => inside.isAllowed(address, "http:");

    expect(
      ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "168.63.129.16"].filter((address) => !isAllowed(address)),
    ).toEqual([]);
    expect(["11.0.0.1", "::ffff:11.0.0.1", "fc00::1", "127.0.0.1", "1.1.1.1"].filter(isAllowed)).toEqual([]);
  });

  test("that all of IPv6 is allowed allows nothing of IPv4 by its mapped form", () => {
    expect(guardFor(["::/0"]).isAllowed("::ffff:10.0.0.5", "https:")).toBe(false);
  });
});
