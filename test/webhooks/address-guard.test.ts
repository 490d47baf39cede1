import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";
import { generate } from "selfsigned";
import { type Agent, request } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readEndpointUrl } from "../../src/domain/endpoint-url.ts";
import { type AddressGuard, createAddressGuard } from "../../src/webhooks/address-guard.ts";
import { webhookDispatcher } from "../../src/webhooks/dispatcher.ts";
import { errorCode, resolveHost } from "../../src/webhooks/resolve-host.ts";
import { type DnsServer, dnsServer } from "../support/dns-server.ts";

const blocked = "FANMAIL_BLOCKED_ADDRESS";

/** What reaches this machine, whose listener is at `PORT`, when nobody looks. */
const spellingsOfThisMachine = [
  "https://127.0.0.1:PORT/",
  "https://127.0.0.1.:PORT/",
  "https://127.1:PORT/",
  "https://127.0.1:PORT/",
  "https://2130706433:PORT/",
  "https://2130706433.:PORT/",
  "https://0x7f000001:PORT/",
  "https://0X7F.0.0.1:PORT/",
  "https://0x7f.0x0.0x0.0x1:PORT/",
  "https://0x0000007f.1:PORT/",
  "https://0177.0.0.1:PORT/",
  "https://017700000001:PORT/",
  "https://0000177.0000.00000.00001:PORT/",
  "https://0177.0x0.1:PORT/",
  "https://127.0x000001:PORT/",
  "https://１２７.０.０.１:PORT/",
  "https://127。0。0。1:PORT/",
  "https://①②⑦.⓪.⓪.①:PORT/",
  "https://𝟏𝟐𝟕.𝟎.𝟎.𝟏:PORT/",
  "https://%31%32%37.0.0.1:PORT/",
  "https://127%2e0%2e0%2e1:PORT/",
  "https://127.0.\u00ad0.1:PORT/",
  "https://127.0.0\u200b.1:PORT/",
  "https://127.\t0.0.1:PORT/",
  "https://127.0.\n0.1:PORT/",
  "\u0000https://127.0.0.1:PORT/",
  " https://127.0.0.1:PORT/",
  "https:127.0.0.1:PORT/",
  "https:/127.0.0.1:PORT/",
  "https://///127.0.0.1:PORT/",
  "https:\\\\127.0.0.1:PORT\\",
  "HTTPS://127.0.0.1:PORT/",
  "https://@127.0.0.1:PORT/",
  "https://example.com@127.0.0.1:PORT/",
  "https://example.com:443@127.0.0.1:PORT/",
  "https://example.com%2f@127.0.0.1:PORT/",
  "https://example.com%00@127.0.0.1:PORT/",
  "https://127.0.0.1:PORT\\@example.com/",
  "https://127.0.0.1:PORT#@example.com/",
  "https://127.0.0.1:PORT?@example.com/",
  "https://127.0.0.1:PORT/@example.com/",
  "https://0.0.0.0:PORT/",
  "https://0:PORT/",
  "https://0x0:PORT/",
  "https://00.0.0.0:PORT/",
  "https://[::ffff:127.0.0.1]:PORT/",
  "https://[::ffff:7f00:1]:PORT/",
  "https://[0:0:0:0:0:FFFF:7F00:0001]:PORT/",
  "https://localhost:PORT/",
  "https://LOCALHOST:PORT/",
  "https://ｌocalhost:PORT/",
  "https://loop.test:PORT/",
  "https://LOOP.test.:PORT/",
  "https://unspecified.test:PORT/",
  "https://mapped.test:PORT/",
];
const spellingsOfThisMachineInIpv6 = [
  "https://[::1]:PORT/",
  "https://[0:0:0:0:0:0:0:1]:PORT/",
  "https://[0000::0001]:PORT/",
  "https://[::0.0.0.1]:PORT/",
  "https://[::]:PORT/",
  "https://[0:0::0:0]:PORT/",
  "https://six.test:PORT/",
];

/** Addresses of other machines, and what is no address, URL or port to post to. */
const otherSpellings = [
  // Ranges
  "https://127.0.0.2/",
  "https://127.255.255.254/",
  "https://0.1.2.3/",
  "https://10.0.0.5/",
  "https://10.255.255.255:8443/",
  "https://172.16.0.1/",
  "https://172.31.255.254/",
  "https://192.168.0.1/",
  "https://0300.0250.0.1/",
  "https://0xc0a80001/",
  "https://100.64.0.1/",
  "https://169.254.0.1/",
  "https://192.0.0.8/",
  "https://192.0.2.1/",
  "https://192.88.99.1/",
  "https://198.18.0.1/",
  "https://198.51.100.1/",
  "https://203.0.113.1/",
  "https://224.0.0.1/",
  "https://239.255.255.250/",
  "https://240.0.0.1/",
  "https://255.255.255.255/",
  // Where clouds tell machines about themselves
  "https://169.254.169.254/latest/meta-data/",
  "https://2852039166/",
  "https://0xa9.0xfe.0xa9.0xfe/",
  "https://0251.0376.0251.0376/",
  "https://[::ffff:169.254.169.254]/",
  "https://[fd00:ec2::254]/",
  "https://[fd20:ce::254]/",
  "https://168.63.129.16/",
  "https://0xa83f8110/",
  "https://[::ffff:168.63.129.16]/",
  "https://100.100.100.200/",
  "https://192.0.0.192/",
  "https://metadata.test/",
  "https://azure.test/",
  // Special IPv6
  "https://[fe80::1]/",
  "https://[febf::1]/",
  "https://[fec0::1]/",
  "https://[fc00::1]/",
  "https://[fdff::1]/",
  "https://[ff02::1]/",
  "https://[100::1]/",
  "https://[2001:2::1]/",
  "https://[2001:10::1]/",
  "https://[2001:20::1]/",
  "https://[2001:db8::1]/",
  "https://[3fff::1]/",
  "https://[5f00::1]/",
  "https://[4000::1]/",
  "https://[1fff::1]/",
  // IPv6 that holds IPv4
  "https://[::127.0.0.1]:PORT/",
  "https://[::7f00:1]:PORT/",
  "https://[::8.8.8.8]/",
  "https://[::ffff:8.8.8.8]/",
  "https://[::ffff:10.0.0.5]/",
  "https://[::ffff:0:127.0.0.1]:PORT/",
  "https://[64:ff9b::127.0.0.1]:PORT/",
  "https://[64:ff9b::8.8.8.8]/",
  "https://[64:ff9b:1::7f00:1]:PORT/",
  "https://[64:ff9b:1:fffe::10.0.0.5]/",
  "https://[2002:7f00:1::]:PORT/",
  "https://[2002:a00:5::1]/",
  "https://[2001::7f00:1]:PORT/",
  "https://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
  "https://[fe80::5efe:127.0.0.1]:PORT/",
  "https://[2a00:1450::5efe:7f00:1]:PORT/",
  "https://[2a00:1450::200:5efe:10.0.0.5]/",
  // Zones
  "https://[fe80::1%eth0]/",
  "https://[fe80::1%25eth0]/",
  "https://[::1%25lo]:PORT/",
  "https://[::1%lo]:PORT/",
  // No addresses
  "https://127.0.0.1%00.example.com:PORT/",
  "https://127.0.0.1%23.example.com:PORT/",
  "https://127.0.0.1:PORT:80/",
  "https://[127.0.0.1]:PORT/",
  "https://[::1:PORT/",
  "https://127.0.0.256:PORT/",
  "https://1.127.0.0.1:PORT/",
  "https://4294967296:PORT/",
  "https://127.0.0.1 :PORT/",
  "https://localhost\u0000.example.com:PORT/",
  "https://",
  "",
  "//127.0.0.1:PORT/",
  "127.0.0.1:PORT",
  // Names
  "https://localhost.:PORT/",
  "https://app.localhost:PORT/",
  "https://private.test/",
  "https://mixed.test:PORT/",
  "https://mixed-last.test:PORT/",
  "https://mixed-families.test:PORT/",
  "https://compatible.test:PORT/",
  "https://nat64.test:PORT/",
  "https://6to4.test:PORT/",
  "https://isatap.test:PORT/",
  "https://local.test/",
  "https://nobody.test:PORT/",
  "https://a..b:PORT/",
  `https://${"a".repeat(64)}.test:PORT/`,
  // Protocols
  "file:///etc/passwd",
  "file://127.0.0.1:PORT/",
  "ftp://127.0.0.1:PORT/",
  "gopher://127.0.0.1:PORT/_GET%20/",
  "dict://127.0.0.1:PORT/info",
  "ldap://127.0.0.1:PORT/",
  "javascript:fetch('https://127.0.0.1:PORT/')",
  "data:text/plain,a",
  "ws://127.0.0.1:PORT/",
  "wss://127.0.0.1:PORT/",
  "unix:///var/run/docker.sock",
  "https+unix://127.0.0.1:PORT/",
  "blob:https://127.0.0.1:PORT/",
  // Ports
  "https://127.0.0.1:0/",
  "https://127.0.0.1:22/",
  "https://127.0.0.1:25/",
  "https://127.0.0.1:6379/",
  "https://127.0.0.1:65536/",
];

/** What other machines would be told. */
const named: Record<string, string[]> = {
  "loop.test": ["127.0.0.1"],
  "unspecified.test": ["0.0.0.0"],
  "mapped.test": ["::ffff:127.0.0.1"],
  "six.test": ["::1"],
  "metadata.test": ["169.254.169.254"],
  "azure.test": ["168.63.129.16"],
  "private.test": ["10.0.0.5"],
  "mixed.test": ["127.0.0.1", "1.1.1.1"],
  "mixed-last.test": ["1.1.1.1", "127.0.0.1"],
  "mixed-families.test": ["1.1.1.1", "::1"],
  "compatible.test": ["::127.0.0.1"],
  "nat64.test": ["64:ff9b::7f00:1"],
  "6to4.test": ["2002:7f00:1::1"],
  "isatap.test": ["2a00:1450::5efe:7f00:1"],
  "local.test": ["fe80::1"],
};

let dns: DnsServer;
let listener: Listener;
let guard: AddressGuard;
let dispatcher: Agent;
let unguarded: Agent;
const agents: Agent[] = [];

beforeAll(async () => {
  dns = await dnsServer();
  for (const [name, addresses] of Object.entries(named)) dns.tell(name, addresses);
  listener = await listen(["127.0.0.1", "::1"]);
  guard = guardFor([]);
  dispatcher = agentFor(guard);
  unguarded = agentFor(guardFor(["0.0.0.0/0", "::/0"]));
});
afterAll(async () => {
  for (const agent of agents) await agent.destroy();
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

function agentFor(by: AddressGuard): Agent {
  const agent = webhookDispatcher(by);
  agents.push(agent);
  return agent;
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
async function post(url: string, agent = dispatcher): Promise<number | string> {
  try {
    const { statusCode, body } = await request(url, { method: "POST", body: "{}", dispatcher: agent });
    await body.dump();
    return statusCode;
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
      expect(await post(url)).toMatch(
        /^(FANMAIL_BLOCKED_ADDRESS|ERR_INVALID_URL|UND_ERR_INVALID_ARG|ENOTFOUND|EBADNAME)$/,
      );
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
    const agent = agentFor(guardFor(["127.0.0.1/32"]));

    expect(await post(`http://redirecting.test:${port}/`, agent)).toBe(302);
    expect(listener.connections - before).toBe(0);
    await agent.close();
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

describe("the dispatcher", () => {
  test("posts to a network that is allowed, and does so again on the same connection", async () => {
    const agent = agentFor(guardFor(["127.0.0.0/8"]));
    const before = { ...listener };

    const first = await post(withPort("http://loop.test:PORT/"), agent);
    // undici takes a connection for busy until its answer is put away.
    await setImmediate();
    const second = await post(withPort("http://loop.test:PORT/"), agent);

    expect([first, second]).toEqual([200, 200]);
    expect(listener.requests - before.requests).toBe(2);
    expect(listener.connections - before.connections).toBe(1);
  });

  test("asks once for a connection, and connects to what was checked", async () => {
    dns.tell("changing.test", ["127.0.0.1"], ["10.0.0.5"]);
    const before = dns.asked.length;
    const allowing = guardFor(["127.0.0.1/32"]);

    expect(await post(withPort("http://changing.test:PORT/"), agentFor(allowing))).toBe(200);
    expect(dns.asked.slice(before).sort()).toEqual(["A changing.test", "AAAA changing.test"]);
    // The answer is checked anew for another connection.
    expect(await post(withPort("http://changing.test:PORT/"), agentFor(allowing))).toBe(blocked);
  });

  test("goes on to the next address where nobody listens", async () => {
    dns.tell("two.test", ["127.0.0.2", "127.0.0.1"]);

    expect(await post(withPort("http://two.test:PORT/"), agentFor(guardFor(["127.0.0.0/8"])))).toBe(200);
  });

  test("sends nothing when another address was reached than the one that was checked", async () => {
    const before = { ...listener };
    // The system takes this one for 127.0.0.1.
    const agent = agentFor(guardFor(["0.0.0.0/32"]));

    expect(await post(withPort("http://0.0.0.0:PORT/"), agent)).toBe(blocked);
    expect(listener.connections - before.connections).toBe(1);
    expect(listener.requests - before.requests).toBe(0);
  });

  test("asks for the certificate of the host, and trusts none that is signed by itself", async () => {
    const server = await tlsServer("right.test");
    dns.tell("right.test", ["127.0.0.1"]);
    const agent = agentFor(guardFor(["127.0.0.1/32"]));

    expect(await post(`https://right.test:${server.port}/`, agent)).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(server.askedFor).toEqual(["right.test"]);
    expect(server.requests).toEqual([]);
    await server.close();
  });

  test("takes a trusted certificate for the host that it names, and for no other", async () => {
    const server = await tlsServer("right.test");
    const directory = await mkdtemp(join(tmpdir(), "fanmail-trusted-"));
    const trusted = join(directory, "trusted.pem");
    await writeFile(trusted, server.certificate);
    const urls = ["right.test", "wrong.test"].map((host) => `https://${host}:${server.port}/`);

    const { stdout } = await promisify(execFile)(
      process.execPath,
      ["--input-type=module", "--eval", postingProgram, ...urls],
      { env: { ...process.env, NODE_EXTRA_CA_CERTS: trusted } },
    );

    expect(JSON.parse(stdout)).toEqual([200, "ERR_TLS_CERT_ALTNAME_INVALID"]);
    expect(server.requests).toEqual(["right.test"]);
    await server.close();
    await rm(directory, { recursive: true });
  });
});

/** Which certificates are trusted is settled when a process starts. */
const built = new URL("../../dist/src/webhooks/", import.meta.url);
const postingProgram = `
import { request } from "undici";
import { createAddressGuard } from "${new URL("address-guard.js", built)}";
import { webhookDispatcher } from "${new URL("dispatcher.js", built)}";
const resolveHost = async () => ["127.0.0.1"];
const dispatcher = webhookDispatcher(createAddressGuard({ allowedCidrs: ["127.0.0.1/32"], resolveHost }));
const answers = [];
for (const url of process.argv.slice(1)) {
  const answer = request(url, { method: "POST", body: "{}", dispatcher });
  answers.push(await answer.then(({ statusCode, body }) => body.dump().then(() => statusCode), ({ code }) => code));
}
await dispatcher.close();
process.stdout.write(JSON.stringify(answers));
`;

type TlsServer = {
  port: number;
  certificate: string;
  /** Server names of handshakes. */
  askedFor: string[];
  /** Hosts of requests. */
  requests: string[];
  close(): Promise<void>;
};

async function tlsServer(host: string): Promise<TlsServer> {
  const pair = await generate([{ name: "commonName", value: host }], {
    keySize: 2048,
    algorithm: "sha256",
    extensions: [{ name: "subjectAltName", altNames: [{ type: 2, value: host }] }],
  });
  const askedFor: string[] = [];
  const requests: string[] = [];
  const server = createHttpsServer(
    {
      key: pair.private,
      cert: pair.cert,
      SNICallback(name, callback) {
        askedFor.push(name);
        callback(null);
      },
    },
    (request, response) => {
      requests.push(String(request.headers.host).replace(/:\d+$/, ""));
      response.end();
    },
  );
  await bind(server, 0, "127.0.0.1");
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, certificate: pair.cert, askedFor, requests, close };
}
