import type { MailFacts } from "../domain/mail/mail-facts.ts";

/*
 * Facts take fewer bytes in the table than in the form in which they are handled: most tags have one value, and most
 * recipients are written as they are matched.
 */

/** A tag with one value is that value. Rows of earlier versions hold lists alone. */
export type StoredTags = Record<string, string | string[]>;

/** The form in which tags are stored. */
export function storedTags(tags: MailFacts["tags"]): StoredTags | null {
  if (tags === null) return null;
  // A tag may be named `__proto__`, which is no name of a field in other objects.
  const stored: StoredTags = Object.create(null);
  for (const name in tags) {
    const values = tags[name];
    if (values !== undefined) stored[name] = values.length === 1 ? (values[0] ?? values) : values;
  }
  return stored;
}

/** Rows with their tags as lists. The rows, fresh from the database, are changed. */
export function withTags<Row extends { tags: MailFacts["tags"] }>(
  rows: readonly (Omit<Row, "tags"> & { tags: StoredTags | null })[],
): Row[] {
  for (const { tags } of rows) {
    for (const name in tags) {
      const value = tags[name];
      if (typeof value === "string") tags[name] = [value];
    }
  }
  // The loops have made lists of all values, which TypeScript cannot see.
  return rows as unknown as Row[];
}

/** As SQL: the recipient as the sender wrote it; null is stored if that is the form that is matched. */
export const recipientAsSent = "coalesce(recipient_as_sent, recipient)";

/** As SQL: a column of `activity` in a selection, under its own name. */
export function factSql(name: string): string {
  return name === "recipient_as_sent" ? `${recipientAsSent} as ${name}` : `activity.${name}`;
}

/** What is stored of the recipient as the sender wrote it. */
export function storedRecipient({
  recipient,
  recipient_as_sent,
}: Pick<MailFacts, "recipient" | "recipient_as_sent">): string | null {
  return recipient_as_sent === recipient ? null : recipient_as_sent;
}
