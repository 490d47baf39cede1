import type { IncomingMessage } from "node:http";
import { RefusedError } from "../domain/errors.ts";

/**
 * Reads a request's body as text, whatever its content type says: SNS sends JSON as `text/plain`.
 * @throws RefusedError 413 beyond `maxBytes`, as soon as that is known.
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const tooLarge = () =>
      reject(new RefusedError(413, "too_large", `The body is larger than ${maxBytes} bytes`));
    if (Number(request.headers["content-length"]) > maxBytes) return tooLarge();
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) tooLarge();
      else chunks.push(chunk);
    });
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    request.on("error", reject);
    request.on("close", () => reject(new RefusedError(400, "aborted", "The request was broken off")));
  });
}
