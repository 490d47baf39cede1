import { describe, expect, test } from "vitest";
import { readEndpointHeaders } from "../../src/domain/webhooks/headers.ts";
import { failureClasses } from "../../src/domain/webhooks/outcome.ts";
import { afterFailure } from "../../src/domain/webhooks/retry-schedule.ts";
import { codeSpans, readDocument, section, tableRows } from "./documented-page.ts";

describe("the tables of docs/webhooks.md", () => {
  test("have the schedule of retries", () => {
    expect(tableRows(section("Retries"))).toEqual(schedule());
  });

  function schedule(): string[][] {
    const rows: string[][] = [];
    let sumMs = 0;
    for (let attempt = 1; ; attempt++) {
      const decision = afterFailure(attempt, 0.5);
      if (decision.kind === "give-up") return rows;
      sumMs += decision.delayMs;
      rows.push([String(attempt + 1), spelled(decision.delayMs), spelled(sumMs)]);
    }
  }

  function spelled(ms: number): string {
    const seconds = ms / 1000;
    const parts = { h: Math.floor(seconds / 3600), min: Math.floor((seconds % 3600) / 60), s: seconds % 60 };
    const entries = Object.entries(parts).filter(([, count]) => count > 0);
    return entries.map(([unit, count]) => `${count} ${unit}`).join(" ");
  }

  test("have every class of failure, and no other", () => {
    const classes = tableRows(section("Success and failure")).map(([name = ""]) => name);
    expect(classes.toSorted()).toEqual(failureClasses.map((name) => `\`${name}\``).toSorted());
  });
});

test("docs/webhooks.md names the headers that are reserved, and no other", () => {
  const [list = ""] = section("Your own headers").split("These cannot be set:").slice(1);
  const pattern = /\^\(([^)]+)\)\|\^\(([^)]+)\)\$/.exec(readDocument("src/domain/webhooks/headers.ts"));
  const [prefixes = [], names = []] = (pattern?.slice(1) ?? []).map((part) => part.split("|"));

  expect(codeSpans(list)).toEqual([...prefixes.map((prefix) => `${prefix}*`), ...names]);
  for (const name of codeSpans(list)) {
    const header = name.replace("*", "anything");
    expect(readEndpointHeaders({ [header]: "a" })).toEqual({
      problem: `must not set ${header}, which is reserved`,
    });
  }
});

test.each(["docs/api.md", "docs/webhooks.md"])("links of %s to headings lead to one", (path) => {
  const links = [...readDocument(path).matchAll(/\]\(([\w./-]*)#([^)]+)\)/g)].map(([, file, anchor]) => [
    file,
    anchor,
  ]);
  const broken = links.filter(
    ([file = "", anchor = ""]) => !anchorsOf(file === "" ? path : `docs/${file}`).includes(anchor),
  );
  expect(broken).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): string[] {
  const headings = readDocument(path).matchAll(/^#{1,4} (.*)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}
