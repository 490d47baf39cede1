import type { Socket } from "node:net";

/** Reads the bytes that arrive on a connection. */
export type HeadReader = {
  /** The next bytes begin with the head of an answer. */
  expectHead(): void;
  /** @returns the bytes to pass to the parser now. */
  next(chunk: Buffer): Buffer;
  /** The bytes held back until the head is complete. */
  rest(): Buffer;
};

/**
 * Merges equal Content-Length headers into one, in the answers on a connection. RFC 9110, section 8.6, lets a client treat
 * them as one, but Node's parser refuses them. Different ones stay, and are refused.
 */
export function mergeEqualLengths(socket: Socket): HeadReader {
  const heads = headReader();
  const push = socket.push.bind(socket);
  socket.push = (chunk: Buffer | null, encoding) => {
    const bytes = chunk === null ? heads.rest() : heads.next(chunk);
    const takesMore = bytes.length === 0 || push(bytes, encoding);
    return chunk === null ? push(null) : takesMore;
  };
  return heads;
}

const nothing = Buffer.alloc(0);
/** Node's own limit for a head. */
const longestHead = 16 * 1024;

function headReader(): HeadReader {
  let isHead = true;
  let held: Buffer = nothing;

  function rest(): Buffer {
    const bytes = held;
    held = nothing;
    return bytes;
  }

  function next(chunk: Buffer): Buffer {
    if (!isHead || chunk.length === 0) return chunk;
    const bytes = held.length === 0 ? chunk : Buffer.concat([rest(), chunk]);
    const end = bytes.indexOf("\r\n\r\n") + 4;
    if (end >= 4) return afterHead(bytes, end);
    const head = bytes.toString("latin1");
    isHead = mayGrow(head);
    if (!isHead) return bytes;
    held = bytes;
    return nothing;
  }

  function afterHead(bytes: Buffer, end: number): Buffer {
    const head = bytes.toString("latin1", 0, end);
    const merged = withOneLength(head);
    // The final answer follows an informational one, which 101 is not.
    isHead = /^HTTP\/1\.1 1(?!01)/.test(head);
    if (!isHead && merged === head) return bytes;
    return Buffer.concat([Buffer.from(merged, "latin1"), next(bytes.subarray(end))]);
  }

  return {
    next,
    rest,
    expectHead() {
      isHead = true;
      held = nothing;
    },
  };
}

/** Whether it may become a complete head. Anything but HTTP goes to the parser at once, which reports the error. */
function mayGrow(text: string): boolean {
  const isHttp = text.startsWith("HTTP/1.") || "HTTP/1.".startsWith(text);
  return isHttp && text.length < longestHead && !/[^\r]\n/.test(text);
}

const lengthLine = /^content-length:[ \t]*([0-9][0-9, \t]*)\r\n/gim;

function withOneLength(head: string): string {
  const lengths = [...head.matchAll(lengthLine)].flatMap(([, value = ""]) =>
    value.split(",").map((one) => one.trim()),
  );
  if (lengths.length < 2 || new Set(lengths).size > 1) return head;
  let isFirst = true;
  return head.replace(lengthLine, () => {
    const line = isFirst ? `content-length: ${lengths[0]}\r\n` : "";
    isFirst = false;
    return line;
  });
}
