import ts from "typescript";

/*
 * Reads SQL out of TypeScript.
 */

export type Statement = {
  /** The function, class or constant at the top of the file that holds it. */
  name: string;
  /** The literal, with the file's constants in their places. */
  sql: string;
  /** Other texts that may become part of it: of functions that it calls, and of conditions that are added to it. */
  parts: string;
};

/** Also the end of a statement, which constants and functions hold. */
const isSql = /^\s*(select|insert|update|delete|merge|with|from|declare|copy|explain|truncate)\s/i;

/** As a condition or a column does. */
const holdsQuery = /\(\s*select\s/i;

/** Every literal that is SQL, wherever in the code it is. */
export function statementsOf(file: string, code: string): Statement[] {
  const source = ts.createSourceFile(file, code, ts.ScriptTarget.Latest, true);
  const declared = declarationsIn(source.statements);
  const others = source.statements.filter(
    (one) => !ts.isVariableStatement(one) && !declared.has(nameOf(one)),
  );
  const holders = [...declared, ...others.map((one): [string, ts.Node] => [nameOf(one), one])];
  return holders.flatMap(([name, holder]) => {
    const body = ts.isFunctionDeclaration(holder) ? (holder.body?.statements ?? []) : [];
    const known = new Map([...declared, ...declarationsIn(body)]);
    const literals = textsIn(holder).filter(
      (node) => isSql.test(textOf(node)) || holdsQuery.test(textOf(node)),
    );
    return literals.map((node) => ({
      name,
      sql: inlined(node, known),
      parts: partsOf(node, known, holder).join("\n"),
    }));
  });
}

function declarationsIn(statements: readonly ts.Statement[]): Map<string, ts.Node> {
  const declared = new Map<string, ts.Node>();
  for (const statement of statements) {
    if (ts.isFunctionDeclaration(statement)) declared.set(nameOf(statement), statement);
    if (!ts.isVariableStatement(statement)) continue;
    for (const one of statement.declarationList.declarations) {
      for (const name of namesIn(one.name)) declared.set(name, one);
    }
  }
  return declared;
}

function nameOf(statement: ts.Statement): string {
  const isNamed = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
  return isNamed && statement.name ? statement.name.text : `the statement at ${statement.pos}`;
}

function namesIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? namesIn(element.name) : []));
}

function isText(
  node: ts.Node,
): node is ts.StringLiteral | ts.NoSubstitutionTemplateLiteral | ts.TemplateExpression {
  return (
    ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)
  );
}

function textsIn(node: ts.Node): ts.Node[] {
  const inside: ts.Node[] = [];
  node.forEachChild((child) => {
    inside.push(...textsIn(child));
  });
  return isText(node) ? [node, ...inside] : inside;
}

function textOf(node: ts.Node): string {
  return node.getText().slice(1, -1);
}

type Known = ReadonlyMap<string, ts.Node>;

function inlined(node: ts.Node, known: Known): string {
  if (!ts.isTemplateExpression(node)) return textOf(node);
  const spans = node.templateSpans.map(({ expression, literal }) => {
    const named = ts.isIdentifier(expression) ? known.get(expression.text) : undefined;
    const value = named && ts.isVariableDeclaration(named) ? named.initializer : undefined;
    return (value && isText(value) ? inlined(value, known) : `\${${expression.getText()}}`) + literal.text;
  });
  return node.head.text + spans.join("");
}

function partsOf(literal: ts.Node, known: Known, holder: ts.Node): string[] {
  const parts: string[] = [];
  const seen = new Set<ts.Node>();
  const add = (node: ts.Node) => {
    if (seen.has(node)) return;
    seen.add(node);
    // Another statement of the same function says nothing about this one, and a query in a condition nothing about the whole.
    const isOther = (text: string) =>
      holdsQuery.test(text) || (ts.isFunctionDeclaration(node) && isSql.test(text));
    const texts = textsIn(node).map(textOf);
    parts.push(...texts.filter((text) => !isOther(text)));
    addNames(node);
  };
  const addNames = (node: ts.Node) => {
    const named = ts.isIdentifier(node) ? known.get(node.text) : undefined;
    if (named) add(named);
    node.forEachChild(addNames);
  };
  addNames(literal);
  if (/where\(\)/.test(textOf(literal))) add(holder);
  return parts;
}
