import { Readable } from "node:stream";
import { text as textOf } from "node:stream/consumers";
import { expect, test } from "vitest";
import { csvOf } from "../../src/http/csv.ts";

async function cellOf(cell: string, bom: "0" | "1" = "0"): Promise<string> {
  const placeOf = () => ({ time: "", id: "" });
  const pieces = csvOf(
    ["head"],
    async () => [cell],
    placeOf,
    (row) => ({ head: row }),
    { bom },
  );
  return textOf(Readable.from(pieces));
}

test.each([
  "=1+1",
  "+1",
  "-1",
  "@SUM(A1)",
  " =1+1",
  "\u00a0=1+1",
  "\u200b=1+1",
  "\ufeff=1+1",
  "\u202e\u2060 =1+1",
  "＝1+1",
  "＋1",
  "\u0000=1+1",
])("%j gets an apostrophe", async (text) => {
  expect(await cellOf(text)).toBe(`head\n'${text}\n`);
});

test("so does what a tab or a line break precedes, within quotes where they are needed", async () => {
  expect(await cellOf("\t=1+1")).toBe("head\n'\t=1+1\n");
  expect(await cellOf("\n=1+1")).toBe('head\n"\'\n=1+1"\n');
});

test.each(["a=1", "jane+shop@example.com", "🤖", " text", "'=1"])("%j stays as it is", async (text) => {
  expect(await cellOf(text)).toBe(`head\n${text}\n`);
});

test("a byte order mark comes first when it is asked for", async () => {
  expect(await cellOf("ü", "1")).toBe("\ufeffhead\nü\n");
});
