import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { freshBuild } from "../support/fresh-build.ts";
import { blocked, GuardedConnections } from "./guarded-connections.ts";
import { tlsServer } from "./tls-server.ts";

const at = new GuardedConnections();
const { guardFor, connectionsBy, withPort, post } = at;

describe("connections", () => {
  test("posts to a network that is allowed, and does so again on the same connection", async () => {
    const by = connectionsBy(guardFor(["127.0.0.0/8"]));
    const before = { ...at.listener };

    const first = await post(withPort("http://loop.test:PORT/"), by);
    // A connection is kept a moment after its answer.
    await setImmediate();
    const second = await post(withPort("http://loop.test:PORT/"), by);

    expect([first, second]).toEqual([200, 200]);
    expect(at.listener.requests - before.requests).toBe(2);
    expect(at.listener.connections - before.connections).toBe(1);
  });

  test("resolves a name once per connection, and connects to the address that was checked", async () => {
    at.dns.tell("changing.test", ["127.0.0.1"], ["10.0.0.5"]);
    const before = at.dns.asked.length;
    const allowing = guardFor(["127.0.0.1/32"]);

    expect(await post(withPort("http://changing.test:PORT/"), connectionsBy(allowing))).toBe(200);
    expect(at.dns.asked.slice(before).sort()).toEqual(["A changing.test", "AAAA changing.test"]);
    // The addresses are resolved and checked again for another connection.
    expect(await post(withPort("http://changing.test:PORT/"), connectionsBy(allowing))).toBe(blocked);
  });

  test("tries the next address if the first does not listen", async () => {
    at.dns.tell("two.test", ["127.0.0.2", "127.0.0.1"]);

    expect(await post(withPort("http://two.test:PORT/"), connectionsBy(guardFor(["127.0.0.0/8"])))).toBe(200);
  });

  test("sends nothing when another address was reached than the one that was checked", async () => {
    const before = { ...at.listener };
    // The system takes this one for 127.0.0.1.
    const by = connectionsBy(guardFor(["0.0.0.0/32"]));

    expect(await post(withPort("http://0.0.0.0:PORT/"), by)).toBe(blocked);
    expect(at.listener.connections - before.connections).toBe(1);
    expect(at.listener.requests - before.requests).toBe(0);
  });

  test("requests the certificate of the host, and rejects a self-signed one", async () => {
    const server = await tlsServer("right.test");
    at.dns.tell("right.test", ["127.0.0.1"]);
    const by = connectionsBy(guardFor(["127.0.0.1/32"]));

    expect(await post(`https://right.test:${server.port}/`, by)).toBe("DEPTH_ZERO_SELF_SIGNED_CERT");
    expect(server.askedFor).toEqual(["right.test"]);
    expect(server.requests).toEqual([]);
    await server.close();
  });

  test("accepts a trusted certificate for the host that it names, and for no other", async () => {
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
  const request = connections.post(url, []);
  request.end("{}");
  answers.push(await once(request, "response").then(([{ statusCode }]) => statusCode, ({ code }) => code));
}
connections.destroy();
process.stdout.write(JSON.stringify(answers));
`;
