import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Agent, buildConnector } from "undici";
import { sharedKeyPair } from "./sns-signer.ts";

export type AwsStub = {
  /** Connects every host to the stub, and trusts its certificate. */
  dispatcher: Agent;
  port: number;
  /** `host path` of each request. */
  requested: string[];
  close(): Promise<void>;
};

/** A real TLS server in place of AWS. */
export async function awsStub(answer: (url: string, response: ServerResponse) => void): Promise<AwsStub> {
  const pair = await sharedKeyPair();
  const requested: string[] = [];
  const server = createServer({ key: pair.private, cert: pair.cert }, (request, response) => {
    const url = `${request.headers.host}${request.url}`;
    requested.push(url);
    answer(url, response);
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
    port,
    requested,
    async close() {
      await dispatcher.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
