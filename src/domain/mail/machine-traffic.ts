import { createIsbotFromList, list } from "isbot";

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

/**
 * Whether a user agent says the name of a machine: a mail scanner, or what `isbot` knows by a name. Mail programs, the
 * image proxies and resizers of mail providers and browsers, whatever extensions add to their names, are people.
 */
export function isMachinesAgent(agent: string): boolean {
  if (mailScanners.test(agent)) return true;
  if (peoplesAgents.test(agent)) return false;
  return hasBotsName(withoutUrls(agent));
}

/** Security products that open emails and follow their links, by the names that they give themselves. */
const mailScanners = new RegExp(
  [
    "barracuda",
    // A tablet, and programs in whose windows people read, bear the name too.
    "\\bcisco(?![-_ ]?(cius|webex|jabber|anyconnect|spark))",
    "\\b(ironport|asyncos|talos)\\b",
    "proof ?point",
    "mimecast(?! for outlook)",
    "trend[-_ ]?micro",
    "sophos",
    "fire ?eye|trellix",
    "symantec|message ?labs|brightmail",
    "mc ?afee",
    "forti(mail|guard|sandbox)",
    "microsoft[-_ ]?(defender|urlanalyzer)|ms ?office ?365[-_ ]?atp|safe[-_ ]?links",
    "google[-_ ]?safe(ty|[-_ ]?browsing)",
    "\\bvade(retro|[-_ ]?secure)?\\b",
    "hornet[-_ ]?(security|drive)",
    "zscaler",
    "palo[-_ ]?alto|\\bwildfire\\b",
    "forcepoint|websense",
    "\\bcheck ?point\\b|avanan",
    "bitdefender",
    "kaspersky",
    "f-?secure",
    "\\beset\\b",
    "sonic ?wall",
    "spam ?(titan|experts|assassin)",
    "mail ?(marshal|scanner|cleaner|guard)",
    "cloudmark|cyren|libraesva|retarus|clearswift|ironscales|perception[-_ ]?point|cofense|virus ?total",
  ].join("|"),
  "i",
);

/** What people read mail with, and `isbot` takes for something else. */
const peoplesAgents = new RegExp(
  [
    // Mail providers show images to people who read through these. Elsewhere `proxy` is a machine's word.
    "ggpht\\.com|(image|img|mail) ?(proxy|resizer|cache)",
    "^yahoo ?(mobile)?mail|^(com\\.)?yahoo\\.mobile\\.client",
    "^navermailapp|\\bnaver\\(inapp",
    "^mail\\.ru\\b",
    "^e-?mail\\b",
    "\\bandroid\\.gm\\b|^gmail\\b",
    // Libraries by which apps for mail fetch images.
    "\\bokhttp\\b",
    // Browsers that share a name with a crawler.
    "sogou(mse|mobilebrowser)",
  ].join("|"),
  "i",
);

/**
 * What `isbot` knows by a name. It also takes any user agent of an unusual shape for a program's, such as that of a mail
 * program ("Spark/2.3.9"), behind which sits a person.
 */
const hasBotsName = createIsbotFromList(list.filter(isNamed));

/** Whether a pattern holds a word beside the one that every browser begins with. */
function isNamed(pattern: string): boolean {
  const words = pattern.replaceAll(/\\[a-z]/g, "").replaceAll(/mozilla|compatible/g, "");
  return /[a-z]{3}/.test(words);
}

const browser = /^Mozilla\/5\.0 \((?!compatible)[^)]*\) .*(Chrome|CriOS|Safari|Firefox|FxiOS)\//i;

/** Extensions add the address of a page to the name of a browser; the address of a crawler's own page follows a plus. */
function withoutUrls(agent: string): string {
  return browser.test(agent) ? agent.replaceAll(/(?<!\+)\bhttps?:\/\/[^\s)]*/gi, "") : agent;
}
