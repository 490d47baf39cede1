import { exactJson } from "../domain/exact-json.ts";

/*
 * Batches are passed as arrays, one for each column: `insert … select … from unnest($1::uuid[], $2::text[])`. The
 * columns of a table are listed once with their types, and the SQL of a batch is built from that list.
 */

/** Each column of a row → its Postgres type. */
export type Columns<Row> = Readonly<Record<keyof Row & string, string>>;

/** Rows as a `from` source with the alias `rows`, and its parameters. */
export type RowSource = { sql: string; params: unknown[][] };

/**
 * @param rows may have more fields than the columns.
 * @param firstParam the number of the first free `$n`.
 */
export function rowSource<Name extends string>(
  columns: Readonly<Record<Name, string>>,
  rows: readonly Readonly<Record<NoInfer<Name>, unknown>>[],
  firstParam = 1,
): RowSource {
  const names = columnNames(columns);
  const arrays = names.map((name, index) => `$${firstParam + index}::${columns[name]}[]`);
  return {
    sql: `unnest(${arrays.join(", ")}) as rows(${names.join(", ")})`,
    params: names.map((name) => rows.map((row) => encode(row[name], columns[name]))),
  };
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

function columnNames<Name extends string>(columns: Readonly<Record<Name, string>>): Name[] {
  // Object.keys loses the type of its keys; the record has no others.
  return Object.keys(columns) as Name[];
}

function encode(value: unknown, type: string): unknown {
  return type === "jsonb" && value !== null && value !== undefined ? exactJson(value) : value;
}
