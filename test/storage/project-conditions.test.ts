import { readdirSync, readFileSync } from "node:fs";
import ts from "typescript";
import { expect, test } from "vitest";

/*
 * Every statement on a table with a project_id must name its project, so that no project sees or changes another's rows.
 * The statements are read from the sources: a literal together with the constants and functions of its file that it is
 * put together from.
 */

/** Functions with a statement that is meant for several projects, and why. */
const exceptions: Readonly<Record<string, string>> = {
  // A key, ARN or id is what the project follows from.
  findApiKeys: "a request has only the hash of its key",
  revokeApiKey: "an operator names a key, whose prefix is unique",
  deleteTopic: "an ARN belongs to one project",
  countKnown: "notifications are found by their topic's ARN",
  writeHearing: "rows are those that listHeardTopics has read, by their unique ids",
  findEndpointAnywhere: "an operator names an endpoint by its id",
  recordStep: "a rebuild has an id of its own, and may be of all projects",
  // Workers serve all projects; what they take says which project it is of.
  loadBatches: "a batch holds the notifications of several projects",
  takeErasure: "the erasure that has been open for longest",
  takeRedelivery: "the redelivery that has waited for longest",
  releaseExpiredLeases: "the sweep frees the deliveries of processes that died",
  restingEndpoints: "the sweep looks for endpoints that are not posted to",
  endpointsDue: "the sweep looks for endpoints to wake",
  forgetDeletedEndpoints: "the sweep removes endpoints that were deleted a day ago",
  deleteDiscards: "retention removes what has expired",
  deleteRedeliveries: "retention removes what has expired",
  takeKey: "removes expired keys beside the one that is asked for",
  // Operators look at the whole service, or name a project.
  listApiKeys: "fanmail keys list",
  listTopics: "the receiver's allow-list, and fanmail topics list",
  listHeardTopics: "the watch over silent topics",
  listEndpoints: "fanmail endpoints list; everybody else names projects",
  latestStatuses: "fanmail doctor; the API names its project",
  walkJournal: "a rebuild or capture of all projects; erasure names its project",
  countOpenErasures: "a rebuild of all projects",
  activitiesAfter: "a rebuild of all projects",
  findInterrupted: "a rebuild may be of all projects",
  endRebuilds: "rebuilds that nobody goes on with",
  openErasure: "ends rebuilds of all projects too, which have read what is being erased",
  laneTotals: "metrics of the process",
  endpointTotals: "metrics of the process",
  isUnused: "fanmail doctor",
  quarantinedSince: "fanmail doctor",
  lanesBehind: "fanmail doctor",
  disabledEndpoints: "fanmail doctor",
  sealedInUse: "fanmail doctor",
};

const root = new URL("../../", import.meta.url).pathname;
const schema = readFileSync(`${root}migrations/schema.sql`, "utf8");
const tables = [...schema.matchAll(/^create table (\w+) \(([^;]*)/gim)]
  .filter(([, , columns]) => /^\s+project_id /m.test(columns ?? ""))
  .map(([, name]) => name);

const isSql = /^\s*(select|insert|update|delete|with|from)\b/;
const usesTable = new RegExp(`\\b(from|join|update|using)\\s+(only\\s+)?(${tables.join("|")})\\b`);
/** A parameter, the rows of a batch, or the place of a parameter in `conditions()`. */
const isLimited = [
  /(?<!is null or )\b(\w+\.)?project_id = (\$\d|\?|any\(\$\d|rows\.)/,
  /\((\w+\.)?project_id, [^)]*\) in \(select project_id, \w+ from \$\{/,
  /unnest\(.*using \(project_id/s,
  /\$\{\w+\.sql\}.*using \(project_id/s,
];

type Statement = { name: string; sql: string };

/** Those of functions; constants hold parts of them. */
function statementsOf(file: string): Statement[] {
  const source = ts.createSourceFile(file, readFileSync(root + file, "utf8"), ts.ScriptTarget.Latest, true);
  const declared = declarationsIn(source.statements);
  const found: Statement[] = [];
  for (const [name, holder] of declared) {
    if (!ts.isFunctionDeclaration(holder)) continue;
    const known = new Map([...declared, ...declarationsIn(holder.body?.statements ?? [])]);
    const texts = textsIn(holder).filter((node) => isSql.test(textOf(node)));
    const statements = texts.map((node) => ({ name, sql: wholeText(node, known, holder) }));
    found.push(...statements.filter(({ sql }) => usesTable.test(sql)));
  }
  return found;
}

function declarationsIn(statements: readonly ts.Statement[]): Map<string, ts.Node> {
  const declared = new Map<string, ts.Node>();
  for (const statement of statements) {
    if (ts.isFunctionDeclaration(statement) && statement.name) declared.set(statement.name.text, statement);
    if (!ts.isVariableStatement(statement)) continue;
    for (const one of statement.declarationList.declarations) {
      for (const name of namesIn(one.name)) declared.set(name, one);
    }
  }
  return declared;
}

function namesIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? namesIn(element.name) : []));
}

function textsIn(node: ts.Node): ts.Node[] {
  const isText =
    ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node);
  const inside: ts.Node[] = [];
  node.forEachChild((child) => {
    inside.push(...textsIn(child));
  });
  return isText ? [node, ...inside] : inside;
}

function textOf(node: ts.Node): string {
  return node.getText().slice(1, -1);
}

/** A literal and what is put into it; where conditions are built, also what its function adds. */
function wholeText(literal: ts.Node, known: ReadonlyMap<string, ts.Node>, holder: ts.Node): string {
  const parts = [textOf(literal)];
  const seen = new Set<ts.Node>();
  const add = (node: ts.Node) => {
    if (seen.has(node)) return;
    seen.add(node);
    // Another statement of the same function says nothing about this one.
    const isOther = (text: string) => ts.isFunctionDeclaration(node) && isSql.test(text);
    parts.push(
      ...textsIn(node)
        .map(textOf)
        .filter((text) => !isOther(text)),
    );
    addNames(node);
  };
  const addNames = (node: ts.Node) => {
    const named = ts.isIdentifier(node) ? known.get(node.text) : undefined;
    if (named) add(named);
    node.forEachChild(addNames);
  };
  addNames(literal);
  if (/where\(\)/.test(textOf(literal))) add(holder);
  return parts.join("\n");
}

test("every statement on a table of projects names its project, but for those that are meant for all", () => {
  const files = ["src", "workers"].flatMap((folder) =>
    readdirSync(root + folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`),
  );
  const statements = files.flatMap(statementsOf);
  const unlimited = statements.filter(({ sql }) => !isLimited.some((pattern) => pattern.test(sql)));

  expect(statements.length).toBeGreaterThan(100);
  expect(tables).toContain("activity");
  expect([...new Set(unlimited.map(({ name }) => name))].sort()).toEqual(Object.keys(exceptions).sort());
});
