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
    if (printed !== null) {
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

/** Lines without their ends. The decoder takes a byte order mark away. */
async function* linesOf(content: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let open: string[] = [];
  for await (const chunk of content) {
    const [first = "", ...more] = decoder.decode(chunk, { stream: true }).split("\n");
    open.push(first);
    for (const next of more) {
      yield withoutReturn(open.join(""));
      open = [next];
    }
  }
  const last = withoutReturn(open.join("") + decoder.decode());
  if (last !== "") yield last;
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
