import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { generate } from "selfsigned";

type TlsServer = {
  port: number;
  certificate: string;
  /** Server names of handshakes. */
  askedFor: string[];
  /** Hosts of requests. */
  requests: string[];
  close(): Promise<void>;
};

/** Speaks TLS with a certificate for a host, signed by itself. */
export async function tlsServer(host: string): Promise<TlsServer> {
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
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, certificate: pair.cert, askedFor, requests, close };
}
