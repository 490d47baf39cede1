import { pipeline, Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** Uncompresses what begins as gzip does, whatever its name; all else passes as it is. */
export async function* uncompressed(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const chunks = content[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 2) {
    const next = await chunks.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  const whole = following(head, chunks);
  if (head[0] !== 0x1f || head[1] !== 0x8b) {
    yield* whole;
    return;
  }
  // An error of either ends both, and is met by whoever reads the result.
  yield* pipeline(Readable.from(whole), createGunzip(), () => {});
}

async function* following(head: Buffer, chunks: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* { [Symbol.asyncIterator]: () => chunks };
}
