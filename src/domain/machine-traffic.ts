import { createIsbotFromList, list } from "isbot";

/** What gives a machine away. */
export type MachineSign =
  /** Apple's Mail Privacy Protection, which fetches images whether or not anybody reads. */
  | "apple_prefetch"
  | "known_bot"
  /** Sooner after the delivery than a person can be; a security scanner. */
  | "just_delivered";

const justDeliveredMs = 2_000;

/**
 * What `isbot` knows by a name. It also takes any user agent of an unusual shape for a program's, such as that of a mail
 * program ("Spark/2.3.9"), behind which sits a person.
 */
const hasBotsName = createIsbotFromList(list.filter(isNamed));

/** Proxies through which mail providers show images to people who read, and a mail program that `isbot` lists. */
const peoplesAgents = /ggpht\.com|(image|mail) ?proxy|^navermailapp/i;

/**
 * Tells whether an open or click is a machine's. Light on purpose: a person who is taken for a machine is worse than
 * the reverse.
 *
 * @param userAgent as SES tells it; nothing follows from its absence.
 * @param deliveredAt of the earliest delivery that is known.
 */
export function machineSign(
  userAgent: string | undefined,
  occurredAt: Date,
  deliveredAt: Date | null,
): MachineSign | null {
  const agent = userAgent?.trim() ?? "";
  if (agent === "Mozilla/5.0") return "apple_prefetch";
  if (isKnownBot(agent)) return "known_bot";
  const sinceDeliveryMs = deliveredAt === null ? null : occurredAt.getTime() - deliveredAt.getTime();
  const isTooSoon = sinceDeliveryMs !== null && sinceDeliveryMs >= 0 && sinceDeliveryMs <= justDeliveredMs;
  return isTooSoon ? "just_delivered" : null;
}

function isKnownBot(agent: string): boolean {
  return !peoplesAgents.test(agent) && hasBotsName(agent);
}

/** Whether a pattern holds a word beside the one that every browser begins with. */
function isNamed(pattern: string): boolean {
  const words = pattern.replaceAll(/\\[a-z]/g, "").replaceAll(/mozilla|compatible/g, "");
  return /[a-z]{3}/.test(words);
}
