/** An expression of Terraform's, as opposed to a text. */
export type Expression = { expression: string };
type Scalar = string | number | boolean | Expression | readonly string[];
type Arguments = { [name: string]: Scalar | { block: Arguments } };

/**
 * A block in the language of Terraform.
 * @param head `resource "aws_sns_topic" "fanmail"`.
 */
export function block(head: string, body: Arguments, indent = ""): string {
  const inner = `${indent}  `;
  const lines = Object.entries(body).map(([name, value]) =>
    isBlock(value) ? block(name, value.block, inner) : `${inner}${name} = ${scalar(value, inner)}`,
  );
  return [`${indent}${head} {`, ...lines, `${indent}}`].join("\n");
}

/** `${…}` inside of a text that is to be handed to `encoded`. */
export function reference(to: string): string {
  return `\${${to}}`;
}

/** A value as JSON text. Its references are Terraform's; so it must hold nothing else that begins with `${` or `%{`. */
export function encoded(value: unknown): Expression {
  // JSON is an expression of Terraform's too.
  return { expression: `jsonencode(${JSON.stringify(value, null, 2).replaceAll("\n", "\n  ")})` };
}

function isBlock(value: Arguments[string]): value is { block: Arguments } {
  return typeof value === "object" && "block" in value;
}

function scalar(value: Scalar, indent: string): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if ("expression" in value) return value.expression;
  return `[\n${value.map((one) => `${indent}  ${quoted(one)},\n`).join("")}${indent}]`;
}

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/[$%](?=\{)/g, "$&$&");
}
