import { exactJson } from "../domain/exact-json.ts";

/*
 * Batches are passed as one parameter for each column: `insert … select … from unnest($1::uuid[], $2::text[])`. The
 * columns of a table are listed once with their types, and the SQL of a batch is built from that list. The parameters are
 * texts, built here: the driver encodes an array element by element, which costs several times as much.
 */

/** Each column of a row → its Postgres type. */
export type Columns<Row> = Readonly<Record<keyof Row & string, string>>;

/** Rows as a `from` source with the alias `rows`, and its parameters; a buffer holds text in UTF-8. */
export type RowSource = { sql: string; params: (string | Buffer)[] };

/** For columns that are stored in another form than their field has: what a row's column holds. */
export type StoredForms<Row> = { readonly [Name in keyof Row]?: (row: Row) => unknown };

/**
 * @param rows may have more fields than the columns. The first column is never null in all rows: of several arrays
 *   `unnest` takes the longest.
 * @param firstParam the number of the first free `$n`.
 */
export function rowSource<Name extends string, Row extends Readonly<Record<Name, unknown>>>(
  columns: Readonly<Record<Name, string>>,
  rows: readonly Row[],
  firstParam = 1,
  forms: StoredForms<Row> = {},
): RowSource {
  const names = columnNames(columns);
  const arrays = names.map((name, index) => arraySql(`$${firstParam + index}`, columns[name]));
  return {
    sql: `unnest(${arrays.join(", ")}) as rows(${names.join(", ")})`,
    params: names.map((name) => arrayParam(valuesOf(rows, name, forms[name]), columns[name])),
  };
}

/** The type of a text column that holds JSON. */
export const jsonText = "json text";
/** Separates JSON texts in one parameter. None of them can hold it: in JSON control characters are escaped. */
const separator = 0x1e;

/** An array would cost several times as much for JSON, because every quotation mark is escaped and read again. */
function arraySql(param: string, type: string): string {
  if (type === jsonText) return `string_to_array(${param}, e'\\x1e', '')`;
  return type === "jsonb" ? `${arraySql(param, jsonText)}::jsonb[]` : `${param}::${type}[]`;
}

function valuesOf<Row>(
  rows: readonly Row[],
  name: keyof Row,
  form: ((row: Row) => unknown) | undefined,
): readonly unknown[] {
  return rows.map(form ?? ((row) => row[name]));
}

function arrayParam(values: readonly unknown[], type: string): string | Buffer {
  if (type === jsonText) return separated(values.map(String));
  if (type === "jsonb") return separated(values.map(jsonOf));
  return `{${values.map(element).join(",")}}`;
}

/**
 * Encodes each text by itself: joined to one string, a single character beyond Latin-1 would widen all of them, which costs
 * twenty times as much.
 */
function separated(texts: readonly string[]): Buffer {
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const joined = Buffer.allocUnsafe(bytes + Math.max(0, texts.length - 1));
  let end = 0;
  for (const [index, text] of texts.entries()) {
    if (index > 0) joined[end++] = separator;
    end += joined.write(text, end);
  }
  return joined;
}

/** Empty for null, which no JSON text is. */
function jsonOf(value: unknown): string {
  return value === null || value === undefined ? "" : exactJson(value);
}

/** An element of an array literal. */
function element(value: unknown): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "string") return quoted(value);
  return value instanceof Date ? timeText(value) : String(value);
}

function quoted(text: string): string {
  const isPlain = !text.includes('"') && !text.includes("\\");
  return `"${isPlain ? text : text.replaceAll(/["\\]/g, "\\$&")}"`;
}

/** Postgres has no year 0, writes the era after years before the first, and takes no sign before longer years. */
function timeText(time: Date): string {
  const iso = time.toISOString();
  const year = time.getUTCFullYear();
  if (year > 0 && year < 10_000) return iso;
  const digits = String(year > 0 ? year : 1 - year).padStart(4, "0");
  return `"${iso.replace(/^[+-]?\d+/, digits)}${year > 0 ? "" : " BC"}"`;
}

/** The names as a list, each with `prefix`. */
export function columnList(columns: Readonly<Record<string, string>>, prefix = ""): string {
  return columnNames(columns)
    .map((name) => prefix + name)
    .join(", ");
}

/** `a = rows.a, b = rows.b`, for an update. */
export function assignments(columns: Readonly<Record<string, string>>): string {
  return columnNames(columns)
    .map((name) => `${name} = rows.${name}`)
    .join(", ");
}

/** The names in order. */
export function columnNames<Name extends string>(columns: Readonly<Record<Name, string>>): Name[] {
  // Object.keys loses the type of its keys; the record has no others.
  return Object.keys(columns) as Name[];
}
