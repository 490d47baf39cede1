import { type Address, parseAddress, parseAddresses } from "../address.ts";
import type { EventDetail } from "./event-detail.ts";

/** An entry in the recipient list of a bounce, complaint, delay or delivery. */
type Entry = { emailAddress?: string | null | undefined };

/** An entry with the recipient that it is about. */
export type Attributed<One extends Entry> = {
  recipient: Address;
  entry: One;
  detail: Pick<EventDetail, "reported_address" | "recipient_certain" | "recipient_listed">;
};

/**
 * Attributes list entries to the recipients of the mail. Some server wrote the list, so a single destination is the
 * recipient whatever the entry says; `reported_address` holds a mailbox that is really another. If an entry names
 * none of several destinations, the primary one is recorded. Without any destination the list alone decides.
 * @param list null for an entry that cannot be read.
 * @param destination distinct, the primary one first.
 * @returns entries that are about nobody are left out.
 */
export function attribute<One extends Entry>(
  list: readonly (One | null)[] | null | undefined,
  destination: readonly Address[],
  nothing: One,
): Attributed<One>[] {
  const entries = (list ?? []).flatMap((entry) => entry ?? []);
  const [primary, ...more] = destination;
  if (primary !== undefined && more.length === 0) return toTheOnly(entries, primary, nothing);
  const named = entries.flatMap((entry) => toTheNamed(entry, destination));
  if (named.length > 0 || primary === undefined) return named;
  const told = entries.length > 0 ? entries : [nothing];
  const detail = { recipient_certain: false, recipient_listed: false } as const;
  return told.map((entry) => ({ recipient: primary, entry, detail }));
}

/** Entries that name the recipient, or nobody, take precedence over entries that name another. */
function toTheOnly<One extends Entry>(
  entries: readonly One[],
  recipient: Address,
  nothing: One,
): Attributed<One>[] {
  if (entries.length === 0) return [{ recipient, entry: nothing, detail: {} }];
  const read = entries.map((entry) => ({ entry, mailboxes: mailboxesOf(entry, [recipient]) }));
  const isTheirs = (mailboxes: Address[]) => mailboxes.some(({ matched }) => matched === recipient.matched);
  const theirs = read.filter(({ mailboxes }) => isTheirs(mailboxes));
  if (theirs.length > 0) return theirs.map(({ entry }) => ({ recipient, entry, detail: {} }));
  return read.map(({ entry, mailboxes: [reported] }) => ({
    recipient,
    entry,
    detail: reported ? { reported_address: reported.matched } : {},
  }));
}

function toTheNamed<One extends Entry>(entry: One, destination: readonly Address[]): Attributed<One>[] {
  return mailboxesOf(entry, destination).map((mailbox) => {
    const known = destination.find(({ matched }) => matched === mailbox.matched);
    const isOther = known === undefined && destination.length > 0;
    return {
      recipient: known ?? mailbox,
      entry,
      detail: isOther ? { reported_address: mailbox.matched } : {},
    };
  });
}

/** The mailboxes that an entry names; if any spelling of it is in `wanted`, only those. */
function mailboxesOf({ emailAddress }: Entry, wanted: readonly Address[]): Address[] {
  if (!emailAddress) return [];
  const isWanted = ({ matched }: Address) => wanted.some((one) => one.matched === matched);
  const read = parseAddresses(emailAddress);
  const asWritten = read.filter(isWanted);
  if (asWritten.length > 0) return asWritten;
  const readings = otherSpellings(emailAddress).map(parseAddresses);
  if (read.length === 0) readings.push(addressesWithin(emailAddress));
  return readings.map((mailboxes) => mailboxes.filter(isWanted)).find(({ length }) => length > 0) ?? read;
}

/** URL encoding, and xtext of a delivery status (RFC 3461). */
const escapes = [/%([2-7][\da-f])/gi, /\+([2-7][\dA-F])/g];

function otherSpellings(text: string): string[] {
  const spellings = escapes.map((pattern) =>
    text.replaceAll(pattern, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  );
  return spellings.filter((spelling) => spelling !== text);
}

/** Some servers write a sentence instead of the address. */
function addressesWithin(text: string): Address[] {
  const words = text.slice(0, 1_000).match(/[^\s<>()",;:]+@[^\s<>()",;:]+/g) ?? [];
  return words.flatMap((word) => parseAddress(word) ?? []);
}
