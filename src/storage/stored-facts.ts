import type { MailFacts } from "../domain/mail/mail-facts.ts";

/*
 * Facts take fewer bytes in the table than in the form in which they are handled: most tags have one value, and one of SES's own
 * names or a column besides; and most recipients are written as they are matched.
 */

/** By name in the table: the tags that SES adds to emails by itself. None may be changed, because rows hold them. */
const longNames: ReadonlyMap<string, string> = new Map([
  [":ci", "ses:caller-identity"],
  [":cs", "ses:configuration-set"],
  [":fd", "ses:from-domain"],
  [":op", "ses:operation"],
  [":oi", "ses:outgoing-ip"],
  [":ot", "ses:outgoing-tls-version"],
  [":si", "ses:source-ip"],
  [":st", "ses:source-tls-version"],
  [":tn", "ses:tenant-name"],
]);
const shortNames: ReadonlyMap<string, string> = new Map([...longNames].map(([short, long]) => [long, short]));

/** Tags that have a column. */
const idNames = ["campaign_id", "automation_run_id", "template_id"] as const satisfies (keyof MailFacts)[];
type Ids = Pick<MailFacts, (typeof idNames)[number]>;
type Tags = MailFacts["tags"];

/**
 * A tag with one value is that value, or null if the column of its name holds it. Rows of earlier versions hold lists and long
 * names alone.
 */
export type StoredTags = Record<string, string | string[] | null>;

/** The form in which tags are stored. */
export function storedTags(facts: Ids & { tags: Tags }): StoredTags | null {
  const { tags } = facts;
  if (tags === null) return null;
  const stored: StoredTags = Object.fromEntries(
    Object.entries(tags).map(([name, values]) => [
      shortNames.get(name) ?? escaped(name),
      values.length === 1 ? (values[0] ?? values) : values,
    ]),
  );
  for (const name of idNames) if (facts[name] !== null && stored[name] === facts[name]) stored[name] = null;
  return stored;
}

function readTags(stored: StoredTags, ids: Ids): Tags {
  for (const name of idNames) if (stored[name] === null) stored[name] = ids[name];
  return Object.fromEntries(
    Object.entries(stored).map(([name, value]) => [
      longNames.get(name) ?? (name.startsWith("::") ? name.slice(1) : name),
      typeof value === "string" ? [value] : (value ?? []),
    ]),
  );
}

/** No tag is taken for one with a short name. SES itself allows no colon in the names of others. */
function escaped(name: string): string {
  return name.startsWith(":") ? `:${name}` : name;
}

/** Rows with their tags as they are handled. The rows, fresh from the database, are changed: copying them costs more. */
export function withTags<Row extends Ids & { tags: Tags }>(
  rows: readonly (Omit<Row, "tags"> & Ids & { tags: StoredTags | Tags })[],
): Row[] {
  for (const row of rows) row.tags = row.tags && readTags(row.tags, row);
  // The loop has given all rows their tags, which TypeScript cannot see.
  return rows as unknown as Row[];
}

/** As SQL: the values of a tag of `activity` with a short name, as jsonb; null without it. */
export function tagSql(name: string): string {
  return `coalesce(tags -> '${shortNames.get(name) ?? name}', tags -> '${name}')`;
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
