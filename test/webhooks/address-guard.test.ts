import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readEndpointUrl } from "../../src/domain/webhooks/url.ts";
import { type AddressGuard, createAddressGuard } from "../../src/webhooks/address-guard.ts";
import { type WebhookConnections, webhookConnections } from "../../src/webhooks/connections.ts";
import { errorCode, resolveHost } from "../../src/webhooks/resolve-host.ts";
import { createSocketRoom } from "../../src/webhooks/socket-room.ts";
import { type DnsServer, dnsServer } from "../support/dns-server.ts";
import { freshBuild } from "../support/fresh-build.ts";
import {
  named,
  otherSpellings,
  spellingsOfThisMachine,
  spellingsOfThisMachineInIpv6,
} from "./ssrf-corpus.ts";
import { tlsServer } from "./tls-server.ts";

const blocked = "FANMAIL_BLOCKED_ADDRESS";

let dns: DnsServer;
let listener: Listener;
let guard: AddressGuard;
let connections: WebhookConnections;
let unguarded: WebhookConnections;
const opened: WebhookConnections[] = [];

beforeAll(async () => {
  dns = await dnsServer();
  for (const [name, addresses] of Object.entries(named)) dns.tell(name, addresses);
  listener = await listen(["127.0.0.1", "::1"]);
  guard = guardFor([]);
  connections = connectionsBy(guard);
  unguarded = connectionsBy(guardFor(["0.0.0.0/0", "::/0"]));
});
afterAll(async () => {
  for (const one of opened) one.destroy();
  await listener?.close();
  await dns?.close();
});

function guardFor(allowedCidrs: string[]): AddressGuard {
  const nameServers = [dns.address];
  return createAddressGuard({
    allowedCidrs,
    resolveHost: (hostname) => resolveHost(hostname, { nameServers, timeoutMs: 2_000 }),
  });
}

function connectionsBy(by: AddressGuard): WebhookConnections {
  const made = webhookConnections(by, createSocketRoom(100));
  opened.push(made);
  return made;
}

type Listener = { port: number; connections: number; requests: number; close(): Promise<void> };

/** Real servers on one port of the addresses that this machine has; they answer 200 to plain HTTP. */
async function listen(addresses: string[]): Promise<Listener> {
  const servers: Server[] = [];
  const counts = { connections: 0, requests: 0 };
  let port = 0;
  for (const address of addresses) {
    const server = createHttpServer((_request, response) => {
      counts.requests += 1;
      response.end("here");
    }).on("connection", () => {
      counts.connections += 1;
    });
    const isOpen = await bind(server, port, address);
    if (!isOpen) continue;
    port = (server.address() as AddressInfo).port;
    servers.push(server);
  }
  return Object.assign(counts, {
    port,
    close: async () => {
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** @returns false where the machine has no such address. */
function bind(server: Server, port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if (/^(EADDRNOTAVAIL|EAFNOSUPPORT)$/.test(errorCode(error))) resolve(false);
      else reject(error);
    });
    server.listen(port, address, () => resolve(true));
  });
}

const withPort = (spelling: string) => spelling.replaceAll("PORT", String(listener.port));
const inPlainHttp = (url: string) => url.replace(/https(?=:)/i, "http");

/** Why an endpoint with this URL is refused; null when it is not. */
async function refusal(text: string, by = guard): Promise<string | null> {
  const read = readEndpointUrl(text);
  return "problem" in read ? read.problem : by.check(read.url);
}

/** @returns the status, or the code of the error. */
async function post(url: string, by = connections): Promise<number | string> {
  try {
    const request = by.post(url, { headers: {} });
    request.end("{}");
    const [answer]: IncomingMessage[] = await once(request, "response");
    for await (const _ of answer ?? []);
    return answer?.statusCode ?? 0;
  } catch (error) {
    return errorCode(error);
  }
}

describe("hostile URLs", () => {
  test.each([...spellingsOfThisMachine, ...spellingsOfThisMachineInIpv6])(
    "%j is refused, and no connection is made",
    async (spelling) => {
      const before = listener.connections;
      for (const url of [withPort(spelling), inPlainHttp(withPort(spelling))]) {
        expect(await refusal(url)).toEqual(expect.any(String));
        expect(await post(url)).toBe(blocked);
      }
      expect(listener.connections - before).toBe(0);
    },
  );

  test.each(otherSpellings)("%j is refused, and no connection is made", async (spelling) => {
    const before = listener.connections;
    for (const url of [withPort(spelling), inPlainHttp(withPort(spelling))]) {
      expect(await refusal(url)).toEqual(expect.any(String));
      expect(await post(url)).toMatch(/^(FANMAIL_BLOCKED_ADDRESS|ERR_INVALID_URL|ENOTFOUND|EBADNAME)$/);
    }
    expect(listener.connections - before).toBe(0);
  });

  test.each(spellingsOfThisMachine)(
    "%j reaches the listener where everything is allowed",
    async (spelling) => {
      const before = listener.requests;
      expect(await post(inPlainHttp(withPort(spelling)), unguarded)).toBe(200);
      expect(listener.requests - before).toBe(1);
    },
  );

  test("a name that resolves elsewhere once it was checked is not connected to", async () => {
    dns.tell("rebinding.test", ["1.1.1.1"], ["127.0.0.1"]);
    const url = withPort("https://rebinding.test:PORT/");
    const before = listener.connections;

    expect(await refusal(url)).toBeNull();
    expect(await post(url)).toBe(blocked);
    expect(listener.connections - before).toBe(0);
  });

  test("an answer that redirects to this machine is not followed", async () => {
    const redirecting = createHttpServer((_request, response) => {
      response.writeHead(302, { location: withPort("http://127.0.0.1:PORT/") }).end();
    });
    await bind(redirecting, 0, "127.0.0.1");
    dns.tell("redirecting.test", ["127.0.0.1"]);
    const { port } = redirecting.address() as AddressInfo;
    const before = listener.connections;
    const by = connectionsBy(guardFor(["127.0.0.1/32"]));

    expect(await post(`http://redirecting.test:${port}/`, by)).toBe(302);
    expect(listener.connections - before).toBe(0);
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
    expect(await guard.check(url)).toMatch(problem);
  });

  test("lets a name pass of which DNS cannot say anything now; it is looked at again", async () => {
    dns.tell("failing.test", "SERVFAIL");
    dns.tell("silent.test", "silence");

    expect([await guard.check("https://failing.test/"), await guard.check("https://silent.test/")]).toEqual([
      null,
      null,
    ]);
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
      expect([guard.isAllowed(address, "https:"), guard.isAllowed(address, "http:")]).toEqual([true, false]);
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

describe("connections", () => {
  test("posts to a network that is allowed, and does so again on the same connection", async () => {
    const by = connectionsBy(guardFor(["127.0.0.0/8"]));
    const before = { ...listener };

    const first = await post(withPort("http://loop.test:PORT/"), by);
    // A connection is kept a moment after its answer.
    await setImmediate();
    const second = await post(withPort("http://loop.test:PORT/"), by);

    expect([first, second]).toEqual([200, 200]);
    expect(listener.requests - before.requests).toBe(2);
    expect(listener.connections - before.connections).toBe(1);
  });

  test("asks once for a connection, and connects to what was checked", async () => {
    dns.tell("changing.test", ["127.0.0.1"], ["10.0.0.5"]);
    const before = dns.asked.length;
    const allowing = guardFor(["127.0.0.1/32"]);

    expect(await post(withPort("http://changing.test:PORT/"), connectionsBy(allowing))).toBe(200);
    expect(dns.asked.slice(before).sort()).toEqual(["A changing.test", "AAAA changing.test"]);
    // The answer is checked anew for another connection.
    expect(await post(withPort("http://changing.test:PORT/"), connectionsBy(allowing))).toBe(blocked);
  });

  test("goes on to the next address where nobody listens", async () => {
    dns.tell("two.test", ["127.0.0.2", "127.0.0.1"]);

    expect(await post(withPort("http://two.test:PORT/"), connectionsBy(guardFor(["127.0.0.0/8"])))).toBe(200);
  });

  test("sends nothing when another address was reached than the one that was checked", async () => {
    const before = { ...listener };
    // The system takes this one for 127.0.0.1.
    const by = connectionsBy(guardFor(["0.0.0.0/32"]));

    expect(await post(withPort("http://0.0.0.0:PORT/"), by)).toBe(blocked);
    expect(listener.connections - before.connections).toBe(1);
    expect(listener.requests - before.requests).toBe(0);
  });

  test("asks for the certificate of the host, and trusts none that is signed by itself", async () => {
    const server = await tlsServer("right.test");
    dns.tell("right.test", ["127.0.0.1"]);
    const by = connectionsBy(guardFor(["127.0.0.1/32"]));

    expect(await post(`https://right.test:${server.port}/`, by)).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(server.askedFor).toEqual(["right.test"]);
    expect(server.requests).toEqual([]);
    await server.close();
  });

  test("takes a trusted certificate for the host that it names, and for no other", async () => {
    const server = await tlsServer("right.test");
    const directory = await mkdtemp(join(tmpdir(), "fanmail-trusted-"));
    const trusted = join(directory, "trusted.pem");
    await writeFile(trusted, server.certificate);
    const urls = ["right.test", "wrong.test", "right.test."].map((host) => `https://${host}:${server.port}/`);

    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", postingProgram, ...urls],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted } },
    );

    expect(JSON.parse(stdout)).toEqual([200, "ERR_TLS_CERT_ALTNAME_INVALID", 200]);
    // A final dot is no part of the name that servers and certificates know.
    expect(server.requests).toEqual(["right.test", "right.test"]);
    // The third may find the connection of the first still open.
    expect(new Set(server.askedFor)).toEqual(new Set(["right.test", "wrong.test"]));
    await server.close();
    await rm(directory, { recursive: true });
  });
});

/** Which certificates are trusted is settled when a process starts. */
freshBuild();
const built = new URL("../../dist/src/webhooks/", import.meta.url);
const postingProgram = `
import { once } from "node:events";
import { createAddressGuard } from "${new URL("address-guard.js", built)}";
import { webhookConnections } from "${new URL("connections.js", built)}";
import { createSocketRoom } from "${new URL("socket-room.js", built)}";
const resolveHost = async () => ["127.0.0.1"];
const guard = createAddressGuard({ allowedCidrs: ["127.0.0.1/32"], resolveHost });
const connections = webhookConnections(guard, createSocketRoom(10));
const answers = [];
for (const url of process.argv.slice(1)) {
  const request = connections.post(url, { headers: {} });
  request.end("{}");
  answers.push(await once(request, "response").then(([{ statusCode }]) => statusCode, ({ code }) => code));
}
connections.destroy();
process.stdout.write(JSON.stringify(answers));
`;
