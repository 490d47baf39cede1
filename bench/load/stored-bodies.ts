/** A request's body, and its block of the corpus. */
export type StoredBody = { block: number; body: Buffer };

/** Bodies as one file, for the process that posts them: block, length, body. */
export function storeBodies(corpus: readonly { block: number; body: string }[]): Buffer {
  return Buffer.concat(
    corpus.flatMap(({ block, body }) => {
      const bytes = Buffer.from(body);
      const head = Buffer.alloc(8);
      head.writeUInt32LE(block);
      head.writeUInt32LE(bytes.length, 4);
      return [head, bytes];
    }),
  );
}

export function readBodies(file: Buffer): StoredBody[] {
  const bodies: StoredBody[] = [];
  for (let at = 0; at < file.length; ) {
    const [block, length] = [file.readUInt32LE(at), file.readUInt32LE(at + 4)];
    bodies.push({ block, body: file.subarray(at + 8, at + 8 + length) });
    at += 8 + length;
  }
  return bodies;
}
