import { Agent } from "undici";
import { fetchPlaces } from "./fetch-queue.ts";

/** A request's own deadline counts from when it is connected. */
const connectTimeoutMs = 4_000;

/** Confirmations must not wait behind certificates that somebody invents. */
const connectionsForConfirmations = 8;

/** Reaches AWS for certificates and confirmations. */
export function awsDispatcher(): Agent {
  const connections = fetchPlaces + connectionsForConfirmations;
  return new Agent({ connections, connect: { timeout: connectTimeoutMs } });
}
