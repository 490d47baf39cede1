import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { generate } from "selfsigned";
import { Agent, buildConnector } from "undici";

export type AwsServer = {
  /** Reaches this server under whatever https host is asked for. */
  dispatcher: Agent;
  /** `host path?query` of each request, in order. */
  requests: string[];
  close(): Promise<void>;
};

/** A server that stands where AWS would be: real TLS, real HTTP, whatever the host name. */
export async function awsServer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<AwsServer> {
  const { private: key, cert } = await generate([{ name: "commonName", value: "localhost" }], {
    keySize: 2048,
    algorithm: "sha256",
  });
  const requests: string[] = [];
  const server = createServer({ key, cert }, (request, response) => {
    requests.push(`${request.headers.host} ${request.url}`);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const connect = buildConnector({ rejectUnauthorized: false });
  const dispatcher = new Agent({
    connect: (options, callback) =>
      connect({ ...options, hostname: "127.0.0.1", port: String(port) }, callback),
  });
  return {
    dispatcher,
    requests,
    async close() {
      await dispatcher.destroy();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
