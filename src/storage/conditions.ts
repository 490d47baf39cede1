/** The conditions of a `where`, and the parameters that they take. */
export type Conditions = {
  params: unknown[];
  /** Adds a condition on values, for which its `?` stand, in order; none when one of them is undefined. */
  add(sql: string, ...values: readonly unknown[]): void;
  where(): string;
};

/** Conditions of which all must hold. */
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
