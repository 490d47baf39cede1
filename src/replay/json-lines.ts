import { isUtf8 } from "node:buffer";

/** One JSON value of a capture, or why a place in it holds none. */
export type Captured = { kind: "json"; value: unknown; text: string } | { kind: "unreadable"; place: string };

/**
 * Reads one JSON value a line. One that is printed over several lines, as the AWS CLI does, begins with a line that is
 * `{` or `[` alone, and ends with one that is `}` or `]` alone.
 */
export async function* jsonLines(content: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Captured> {
  let number = 0;
  let printed: { place: string; lines: string[] } | null = null;
  for await (const line of linesOf(content)) {
    number++;
    if (line === null) {
      if (printed !== null) printed.lines.push(unreadableLine);
      else yield { kind: "unreadable", place: `${name}:${number}` };
    } else if (printed !== null) {
      printed.lines.push(line);
      if (!/^[}\]]\s*$/.test(line)) continue;
      yield parsed(printed.lines.join("\n"), printed.place);
      printed = null;
    } else if (/^[{[]\s*$/.test(line)) {
      printed = { place: `${name}:${number}`, lines: [line] };
    } else if (line.trim() !== "") yield parsed(line, `${name}:${number}`);
  }
  if (printed !== null) yield { kind: "unreadable", place: printed.place };
}

function parsed(text: string, place: string): Captured {
  try {
    return { kind: "json", value: JSON.parse(text), text };
  } catch {
    return { kind: "unreadable", place };
  }
}

/** No JSON, alone or among other lines. */
const unreadableLine = "\u0000";

/** Lines without their ends; null is one that is not UTF-8. */
async function* linesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<string | null> {
  let open: Uint8Array[] = [];
  for await (const chunk of content) {
    let from = 0;
    for (let end = chunk.indexOf(lineFeed); end !== -1; end = chunk.indexOf(lineFeed, from)) {
      yield textOf([...open, chunk.subarray(from, end)]);
      open = [];
      from = end + 1;
    }
    open.push(chunk.subarray(from));
  }
  const last = textOf(open);
  if (last !== "") yield last;
}

const lineFeed = 0x0a;

function textOf(parts: readonly Uint8Array[]): string | null {
  const line = utf8OrNull(Buffer.concat(parts));
  return line?.endsWith("\r") ? line.slice(0, -1) : line;
}

/** The text of bytes, without a byte order mark; null where a decoder would have to put U+FFFD in place of something. */
export function utf8OrNull(bytes: Buffer): string | null {
  return isUtf8(bytes) ? new TextDecoder().decode(bytes) : null;
}
