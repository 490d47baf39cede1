import type { Statement } from "./statements-in-code.ts";

/*
 * Finds tables of projects that a statement uses without saying of which project.
 */

/** A query or a subquery: its own text, without the queries inside it. */
type Scope = string;

/** A table in a scope, and the name that it has there. */
type Use = { table: string; alias: string };

/**
 * @property uses all tables with a project_id.
 * @property loose those whose project is compared with nothing.
 * @property isAnchored whether a project is compared with what comes from outside of the scope: a parameter, the rows of a
 *   batch, another query.
 */
type ScopeTables = { uses: string[]; loose: string[]; isAnchored: boolean };

/**
 * @param tables those with a project_id. One whose name code puts in counts as one of them.
 * @returns each query and subquery that uses one, other than to insert rows.
 */
export function tablesOf({ sql, parts }: Statement, tables: readonly string[]): ScopeTables[] {
  const named = scopesOf(sql).map((scope) => ({ scope, uses: usesIn(scope, tables) }));
  return named
    .filter(({ uses }) => uses.length > 0)
    .map(({ scope, uses }) => {
      const conditions = scope.includes("where[]") ? `${scope}\n${parts}` : scope;
      return {
        uses: uses.map(({ table }) => table),
        loose: uses.filter((use) => !isTied(use, uses, conditions)).map(({ table }) => table),
        isAnchored: isAnchored(uses, conditions),
      };
    });
}

function scopesOf(sql: string): Scope[] {
  const inside: Scope[] = [];
  let text = sql;
  // The innermost parentheses come first. Those that are no query become brackets, which nothing else here reads.
  for (let found = innermost(text); found; found = innermost(text)) {
    const isQuery = /^\s*(select|with|insert|update|delete)\b/i.test(found.content);
    if (isQuery) inside.push(...found.content.split(/\bunion(?: all)?\b/));
    text = text.slice(0, found.start) + (isQuery ? "[query]" : `[${found.content}]`) + text.slice(found.end);
  }
  return [...inside, ...text.split(/\bunion(?: all)?\b/)];
}

function innermost(text: string): { content: string; start: number; end: number } | null {
  const found = /\(([^()]*)\)/.exec(text);
  return found && { content: found[1] ?? "", start: found.index, end: found.index + found[0].length };
}

const keywords =
  "where|join|left|right|inner|cross|on|using|order|group|limit|for|set|as|union|returning|from|lateral";

function usesIn(scope: Scope, tables: readonly string[]): Use[] {
  const alias = `(?:\\s+(?:as\\s+)?(?!(?:${keywords})\\b)([a-z_]+))?`;
  const table = `(?:only\\s+|lateral\\s+)?(${tables.join("|")}|\\$\\{\\w+\\})(?!\\w)${alias}`;
  const first = [...scope.matchAll(new RegExp(`\\b(?:from|join|update|using)\\s+${table}`, "gi"))];
  const further = laterInLists(scope).flatMap((entry) => [
    ...entry.matchAll(new RegExp(`^\\s*${table}`, "gi")),
  ]);
  return [...first, ...further].map(([, name = "", as = name]) => ({ table: name.toLowerCase(), alias: as }));
}

/** What follows a comma in a list of tables: `from a, b`. */
function laterInLists(scope: Scope): string[] {
  const list = /\b(?:from|using)\s+(.*?)(?=\b(?:where|order|group|limit|for|returning|from)\b|$)/gis;
  return [...scope.matchAll(list)].flatMap(([, tables = ""]) => withoutBrackets(tables).split(",").slice(1));
}

function withoutBrackets(text: string): string {
  const shorter = text.replace(/\[[^[\]]*\]/g, "");
  return shorter === text ? text : withoutBrackets(shorter);
}

/** Lists of columns that code writes, `notifications.project_id` first. */
const listed = (alias: string) => `columnList\\[\\w+, "${alias}\\."\\]\\}\\]`;

function isTied({ alias }: Use, uses: readonly Use[], conditions: string): boolean {
  const own = `\\b${alias}\\.project_id\\b`;
  const compared = [`${own}\\s*(=|in\\b)`, `=\\s*${own}`, `\\[${own}, [^\\]]*\\] =`, `${listed(alias)} =`];
  if (new RegExp(compared.join("|")).test(conditions)) return true;
  const joins = [...conditions.matchAll(/using \[project_id\b/g)].length;
  if (joins >= Math.max(1, uses.length - 1)) return true;
  // A name without a table is that of the only one.
  const isNamed = /(?<![.\w])project_id\s*=|\[project_id, [^\]]*\]\s*(=|in)\s*\[/;
  return uses.length === 1 && isNamed.test(conditions);
}

function isAnchored(uses: readonly Use[], conditions: string): boolean {
  const other = `(?!(?:${uses.map(({ alias }) => alias.replaceAll(/[${}]/g, "\\$&")).join("|")})\\.)\\w+\\.project_id\\b`;
  const column = "(?<!is null or )(?<!\\w)(?:\\w+\\.)?project_id";
  const anchors = [
    `${column} = (?:\\$\\d|\\?|any\\[\\$\\d|${other})`,
    `(?<!\\w\\.?)${other} = \\w+\\.project_id`,
    "using \\[project_id",
    "\\[(?:\\w+\\.)?project_id, [^\\]]*\\] (?:in|=) \\[",
    `= \\[\\$\\{${listed("\\w+")}`,
  ];
  return new RegExp(anchors.join("|")).test(conditions);
}
