/** The conditions of a `where`, and their parameters. */
export type Conditions = {
  params: unknown[];
  /** Adds a condition. Each `?` stands for a value, in order. Adds none if a value is undefined. */
  add(sql: string, ...values: readonly unknown[]): void;
  where(): string;
};

/** Builds conditions that are joined by `and`. */
export function conditions(): Conditions {
  const params: unknown[] = [];
  const parts: string[] = [];
  return {
    params,
    add(sql, ...values) {
      if (values.includes(undefined)) return;
      const first = params.length + 1;
      params.push(...values);
      let place = first;
      parts.push(sql.replaceAll("?", () => `$${place++}`));
    },
    where: () => parts.join(" and "),
  };
}
