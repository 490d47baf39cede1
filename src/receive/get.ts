import { Agent, type Dispatcher, request } from "undici";
import { confirmationUrl, type SnsConfirmation } from "../domain/mail/sns-message.ts";
import { fetchPlaces } from "./fetch-queue.ts";

const timeoutMs = 5_000;
const maxBytes = 16 * 1024;

/**
 * Gets a small document from AWS: the whole exchange within 5 seconds, no redirect followed, at most 16 KiB.
 * @param stopping ends it early.
 * @throws when there is no answer, or a longer one.
 */
export async function get(
  url: string,
  dispatcher: Dispatcher,
  stopping?: AbortSignal,
): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(stopping ? [stopping] : [])]);
  const { statusCode, body } = await request(url, { dispatcher, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes)
      throw new Error(`The answer of ${new URL(url).host} is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return { status: statusCode, text: Buffer.concat(chunks).toString("utf8") };
}

/** A request's own deadline counts from when it is connected. */
const connectTimeoutMs = 4_000;

/** Confirmations must not wait behind certificates that somebody invents. */
const connectionsForConfirmations = 8;

/** Reaches AWS for certificates and confirmations. */
export function awsDispatcher(): Agent {
  const connections = fetchPlaces + connectionsForConfirmations;
  return new Agent({ connections, connect: { timeout: connectTimeoutMs } });
}

/**
 * Confirms a subscription of a verified message, at an address rebuilt from its signed parts.
 * @throws when AWS does not answer 200, with the beginning of its answer.
 */
export async function confirmSubscription(message: SnsConfirmation, dispatcher: Dispatcher): Promise<void> {
  const { status, text } = await get(confirmationUrl(message), dispatcher);
  if (status === 200) return;
  const beginning = text.slice(0, 500).replaceAll(/\s+/g, " ");
  throw new Error(`SNS answered ${status} to ConfirmSubscription: ${beginning}`);
}
