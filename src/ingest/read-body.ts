import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { RefusedError } from "../domain/errors.ts";

/**
 * Reads a request's body as text, whatever its content type says: SNS sends JSON as `text/plain`.
 * @throws RefusedError 413 beyond `maxBytes`, as soon as that is known; 400 when it is not UTF-8 or never ends.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  return textOf(await readBytes(request, maxBytes));
}

function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
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
    request.on("end", () => resolve(Buffer.concat(chunks)));
    const brokenOff = (cause?: Error) =>
      reject(new RefusedError(400, "aborted", "The request was broken off", { cause }));
    request.on("error", brokenOff);
    request.on("close", brokenOff);
  });
}

/** A decoder would put U+FFFD in place of what it cannot read, and the signature of a U+FFFD would then be valid. */
function textOf(body: Buffer): string {
  if (!isUtf8(body)) throw new RefusedError(400, "not_utf8", "The body is not UTF-8");
  return body.toString("utf8");
}
