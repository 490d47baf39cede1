import { isMachinesAgent } from "./user-agents.ts";

/** What gives a machine away; the earlier one stands where several do. */
export type MachineSign =
  /** SES says so itself. */
  | "aws"
  /** Before the delivery, or sooner after it than a person can be: a gateway that looks into the email. */
  | "delivery"
  /** Apple's Mail Privacy Protection, which fetches images whether or not anybody reads. */
  | "prefetch"
  /** The user agent says its name. */
  | "agent"
  /** A style sheet or font, which the email itself loads, and nobody clicks. */
  | "asset";

/** What an open or click tells of who made it, as in the detail of an event. */
export type Sighting = {
  user_agent?: string;
  url_clicked?: string;
  /** What SES thinks: `Likely` or `Unlikely`; anything else says nothing. */
  is_bot_event?: string;
  recipient_certain?: false;
};

const justDeliveredMs = 2_000;

/**
 * Tells whether an open or click is a machine's. Light on purpose: a person who is taken for a machine is worse than
 * the reverse.
 * @param deliveredAt of the earliest delivery that is known.
 */
export function machineSign(seen: Sighting, occurredAt: Date, deliveredAt: Date | null): MachineSign | null {
  if (seen.is_bot_event === "Likely") return "aws";
  // Where SES does not say which of several recipients it was, another one may have had the email already.
  const isOfThisOne = seen.recipient_certain !== false;
  if (isOfThisOne && isTooSoon(occurredAt, deliveredAt)) return "delivery";
  const agent = seen.user_agent?.trim() ?? "";
  if (agent === "Mozilla/5.0") return "prefetch";
  if (seen.is_bot_event !== "Unlikely" && isMachinesAgent(agent)) return "agent";
  return isAsset(seen.url_clicked ?? "") ? "asset" : null;
}

/** The names that versions before this one stored. */
const formerSigns = new Map<string | undefined, string>([
  ["apple_prefetch", "prefetch"],
  ["known_bot", "agent"],
  ["just_delivered", "delivery"],
]);

/** A stored sign by its name of today. */
export function signOfToday(stored: string | undefined): string | undefined {
  return formerSigns.get(stored) ?? stored;
}

function isTooSoon(occurredAt: Date, deliveredAt: Date | null): boolean {
  return deliveredAt !== null && occurredAt.getTime() - deliveredAt.getTime() <= justDeliveredMs;
}

const assetFile = /\.(css|woff2?|ttf|otf|eot)$/i;
/** Hosts that make a style sheet of fonts from a query, without a file's name. */
const fontHost = /^(fonts\.googleapis\.com|fonts\.gstatic\.com|fonts\.bunny\.net|use\.typekit\.net)$/i;

function isAsset(link: string): boolean {
  if (!URL.canParse(link)) return false;
  const { hostname, pathname } = new URL(link);
  return assetFile.test(pathname) || fontHost.test(hostname);
}
