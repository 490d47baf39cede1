import type { Clock } from "../../clock.ts";
import type { Database } from "../../storage/database.ts";
import { fail, type Observation, ok, skipped, warn } from "./check.ts";
import { serverFacts } from "./health.sql.ts";
import type { HostAnswer } from "./probe-host.ts";
import { spanText } from "./wording.ts";

const remedy =
  "Set this machine's clock by NTP (timedatectl set-ntp true, or chrony), and the other one's likewise: receivers refuse webhooks whose time is more than five minutes off, and AWS refuses our calls.";

/** How far our clock is from the database's. */
export async function compareWithDatabase(db: Database, clock: Clock): Promise<Observation[]> {
  const before = clock.now().getTime();
  const facts = await serverFacts(db);
  const after = clock.now().getTime();
  if (facts === null) return [];
  const aheadMs = (before + after) / 2 - facts.now.getTime();
  return [judge("the database's", aheadMs, (after - before) / 2)];
}

/** How far our clock is from that of AWS, whose header `Date` is in whole seconds. */
export function compareWithAws(answers: readonly HostAnswer[]): Observation[] {
  for (const { host, outcome } of answers) {
    if (outcome.kind !== "answered" || outcome.date === null) continue;
    const { date, askedAt, answeredAt } = outcome;
    const aheadMs = (askedAt.getTime() + answeredAt.getTime()) / 2 - (date.getTime() + 500);
    return [judge(`that of ${host}`, aheadMs, 500 + (answeredAt.getTime() - askedAt.getTime()) / 2)];
  }
  return [skipped("Our clock was not compared with that of AWS, which was not reached.")];
}

function judge(whose: string, aheadMs: number, uncertaintyMs: number): Observation {
  const surelyMs = Math.max(0, Math.abs(aheadMs) - uncertaintyMs);
  if (surelyMs <= 2_000) return ok(`Our clock agrees with ${whose}.`);
  const what = `Our clock is ${spanText(Math.abs(aheadMs) / 1000)} ${aheadMs > 0 ? "ahead of" : "behind"} ${whose}.`;
  return surelyMs > 60_000 ? fail(what, remedy) : warn(what, remedy);
}
