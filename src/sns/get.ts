import { type Dispatcher, request } from "undici";

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
