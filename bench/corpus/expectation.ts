import { groupBy } from "../../src/domain/maps.ts";
import type { Corpus } from "./corpus.ts";
import { prefetch, type Unpublished } from "./emails.ts";

/** What must be there after a corpus was received and applied, however often and in whatever order it arrived. */
export type Expectation = {
  /** Distinct SNS messages. */
  notifications: number;
  events: number;
  activities: number;
  /** Activities by status. */
  statuses: Record<string, number>;
  /** Activities that somebody opened or clicked, machines not counted. */
  opened: number;
  clicked: number;
  /** Opens that count: one of each 20 minutes. */
  opens: number;
  clicks: number;
  /** Addresses that bounced for good or complained. */
  suppressed: number;
};

type Status = "sent" | "bounced_soft" | "delivered" | "bounced_hard" | "complained";
/** From the lowest to the highest. */
const ranked: readonly Status[] = ["sent", "bounced_soft", "delivered", "bounced_hard", "complained"];
const openWindowMs = 20 * 60_000;

/** One event of one email to one recipient. */
type Fact = { activity: string; recipient: string; status: Status; type: string; atMs: number };

export function expectationOf(corpus: Corpus): Expectation {
  const facts = [...new Map(corpus.flatMap(factsOf).map((fact) => [keyOf(fact), fact])).values()];
  const byActivity = groupBy(facts, ({ activity }) => activity);
  const statuses = [...byActivity.values()].map((of) => highest(of.map(({ status }) => status)));
  const opens = [...byActivity.values()].map((of) => countedOpens(of));
  const clicks = [...byActivity.values()].map((of) => of.filter(({ type }) => type === "Click").length);
  const suppressing = facts.filter(({ status }) => status === "bounced_hard" || status === "complained");
  return {
    notifications: new Set(corpus.map(({ snsMessageId }) => snsMessageId)).size,
    events: facts.length,
    activities: byActivity.size,
    statuses: tally(statuses),
    opened: opens.filter((count) => count > 0).length,
    clicked: clicks.filter((count) => count > 0).length,
    opens: sum(opens),
    clicks: sum(clicks),
    suppressed: new Set(suppressing.map(({ recipient }) => recipient)).size,
  };
}

/** @throws if anything was lost, or is there twice. */
export function assertEqual(name: string, expected: Expectation, found: Partial<Expectation>): void {
  const wrong = Object.entries(found).flatMap(([field, value]) => {
    const wanted = JSON.stringify(expected[field as keyof Expectation]);
    return JSON.stringify(value) === wanted
      ? []
      : [`${field}: ${JSON.stringify(value)} instead of ${wanted}`];
  });
  if (wrong.length > 0) throw new Error(`${name} has not what was sent: ${wrong.join("; ")}`);
}

/** Counts by name, sorted by name, so that two tallies can be compared as text. */
function tally(names: readonly string[]): Record<string, number> {
  const counts = [...groupBy(names, (name) => name)].map(([name, of]) => [name, of.length] as const);
  return Object.fromEntries(counts.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function keyOf({ activity, type, atMs }: Fact): string {
  return `${activity} ${type} ${atMs}`;
}

function factsOf({ email, happening }: Unpublished): Fact[] {
  const fact = (recipient: string, status: Status, type: string, atMs: number): Fact => {
    return { activity: `${email.messageId} ${recipient}`, recipient, status, type, atMs };
  };
  const [primary] = email.recipients;
  switch (happening.kind) {
    case "Send":
      return email.recipients.map((recipient) => fact(recipient, "sent", "Send", email.sentAtMs));
    case "Delivery":
      return happening.recipients.map((one) => fact(one, "delivered", "Delivery", happening.atMs));
    case "Bounce": {
      const status = happening.isPermanent ? "bounced_hard" : "bounced_soft";
      return [fact(happening.recipient, status, "Bounce", happening.atMs)];
    }
    case "Complaint":
      return [fact(happening.recipient, "complained", "Complaint", happening.atMs)];
    case "Open":
      return [fact(primary, "sent", happening.userAgent === prefetch ? "machine" : "Open", happening.atMs)];
    case "Click":
      return [fact(primary, "sent", "Click", happening.atMs)];
    default:
      throw new Error(`unreachable: ${happening satisfies never}`);
  }
}

function highest(statuses: readonly Status[]): Status {
  return ranked[Math.max(...statuses.map((status) => ranked.indexOf(status)))] ?? "sent";
}

function countedOpens(facts: readonly Fact[]): number {
  const times = facts.flatMap(({ type, atMs }) => (type === "Open" ? [atMs] : []));
  let [count, last] = [0, Number.NEGATIVE_INFINITY];
  for (const atMs of times.toSorted((one, other) => one - other)) {
    if (atMs - last < openWindowMs) continue;
    [count, last] = [count + 1, atMs];
  }
  return count;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
