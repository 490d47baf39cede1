import { readFileSync } from "node:fs";

/*
 * Parts of the pages in docs/, for tests that hold them to the code.
 */

const root = new URL("../../", import.meta.url);

/** @param path from the root of the repository. */
export function readDocument(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

export const webhooksPage = readDocument("docs/webhooks.md");

/** The part of docs/webhooks.md below a heading, up to the next one. */
export function section(heading: string): string {
  const parts = webhooksPage.split(/^(?=#{1,4} )/m);
  const part = parts.find((one) => one.replace(/^#+ /, "").startsWith(`${heading}\n`));
  if (part === undefined) throw new Error(`docs/webhooks.md has no section ${heading}`);
  return part;
}

export function codeBlocks(text: string, language: string): string[] {
  const blocks = text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, "gms"));
  return [...blocks].map(([, code = ""]) => code);
}

/** The rows of the tables of a text, without their heads. */
export function tableRows(text: string): string[][] {
  const tables = text.matchAll(/^\|[-|]+\|\n((?:\|.*\|\n)+)/gm);
  const lines = [...tables].flatMap(([, rows = ""]) => rows.trimEnd().split("\n"));
  return lines.map((line) => line.slice(2, -2).split(" | "));
}

export function codeSpans(text: string): string[] {
  return [...text.matchAll(/(?<!`)`([^`]+)`(?!`)/g)].map(([, code = ""]) => code);
}
