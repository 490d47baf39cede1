import { Agent } from "undici";

/** A request's own deadline counts from when it is connected. */
const connectTimeoutMs = 4_000;

/** Reaches AWS for certificates and confirmations. */
export function awsDispatcher(): Agent {
  return new Agent({ connections: 8, connect: { timeout: connectTimeoutMs } });
}
