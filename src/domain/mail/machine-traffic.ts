import { createIsbotFromList, list } from "isbot";
import { parseUrl } from "../url.ts";

/** What gives a machine away; the first that applies stands. */
export type MachineSign =
  /** SES says so itself. */
  | "aws"
  /** Before the delivery, or sooner after it than a person could be: a gateway that scans the email. */
  | "delivery"
  /** Apple's Mail Privacy Protection, which fetches images even if nobody reads the email. */
  | "prefetch"
  /** The user agent names a machine. */
  | "agent"
  /** A style sheet or font, which the email itself loads and nobody clicks. */
  | "asset";

/** What an open or click says about its source, as in the event detail. */
export type Sighting = {
  user_agent?: string;
  url_clicked?: string;
  /** SES's own guess: `Likely` or `Unlikely`; anything else means nothing. */
  is_bot_event?: string;
  recipient_certain?: false;
};

const justDeliveredMs = 2_000;

/**
 * Decides whether a machine opened or clicked. Deliberately cautious: mistaking a person for a machine is worse than
 * the reverse.
 * @param deliveredAt the earliest known delivery.
 */
export function machineSign(seen: Sighting, occurredAt: Date, deliveredAt: Date | null): MachineSign | null {
  if (seen.is_bot_event === "Likely") return "aws";
  // If SES does not say which of several recipients it was, another one may have had the email already.
  const isOfThisOne = seen.recipient_certain !== false;
  if (isOfThisOne && isTooSoon(occurredAt, deliveredAt)) return "delivery";
  const agent = seen.user_agent?.trim() ?? "";
  if (agent === "Mozilla/5.0") return "prefetch";
  if (seen.is_bot_event !== "Unlikely" && isMachinesAgent(agent)) return "agent";
  return isAsset(seen.url_clicked ?? "") ? "asset" : null;
}

/** Names that earlier versions stored. */
const formerSigns = new Map<string | undefined, string>([
  ["apple_prefetch", "prefetch"],
  ["known_bot", "agent"],
  ["just_delivered", "delivery"],
]);

/** The current name of a stored sign. */
export function signOfToday(stored: string | undefined): string | undefined {
  return formerSigns.get(stored) ?? stored;
}

function isTooSoon(occurredAt: Date, deliveredAt: Date | null): boolean {
  return deliveredAt !== null && occurredAt.getTime() - deliveredAt.getTime() <= justDeliveredMs;
}

const assetFile = /\.(css|woff2?|ttf|otf|eot)$/i;
/** Hosts that serve style sheets of fonts without a file name. */
const fontHost = /^(fonts\.googleapis\.com|fonts\.gstatic\.com|fonts\.bunny\.net|use\.typekit\.net)$/i;

function isAsset(link: string): boolean {
  const url = parseUrl(link);
  if (url === null) return false;
  const { hostname, pathname } = url;
  return assetFile.test(pathname) || fontHost.test(hostname);
}

/**
 * Whether a user agent names a machine: a mail scanner, or one of `isbot`'s named bots. Mail programs, image proxies
 * of mail providers, and browsers with any extensions are people.
 */
export function isMachinesAgent(agent: string): boolean {
  if (mailScanners.test(agent)) return true;
  if (peoplesAgents.test(agent)) return false;
  return hasBotsName(withoutUrls(agent));
}

/** Security products that open emails and follow links, by the names that they use. */
const mailScanners = new RegExp(
  [
    "barracuda",
    // A tablet and some programs with windows for reading have this name too.
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

/** Mail readers that `isbot` takes for bots. */
const peoplesAgents = new RegExp(
  [
    // Mail providers load images for readers through these. Elsewhere `proxy` means a machine.
    "ggpht\\.com|(image|img|mail) ?(proxy|resizer|cache)",
    "^yahoo ?(mobile)?mail|^(com\\.)?yahoo\\.mobile\\.client",
    "^navermailapp|\\bnaver\\(inapp",
    "^mail\\.ru\\b",
    "^e-?mail\\b",
    "\\bandroid\\.gm\\b|^gmail\\b",
    // Libraries that mail apps use to fetch images.
    "\\bokhttp\\b",
    // Browsers with the name of a crawler.
    "sogou(mse|mobilebrowser)",
  ].join("|"),
  "i",
);

/**
 * The patterns of `isbot` that contain a name. Its other patterns match any unusual user agent, such as that of a
 * mail program ("Spark/2.3.9").
 */
const hasBotsName = createIsbotFromList(list.filter(isNamed));

/** Whether a pattern has a word besides the one that every browser begins with. */
function isNamed(pattern: string): boolean {
  const words = pattern.replaceAll(/\\[a-z]/g, "").replaceAll(/mozilla|compatible/g, "");
  return /[a-z]{3}/.test(words);
}

const browser = /^Mozilla\/5\.0 \((?!compatible)[^)]*\) .*(Chrome|CriOS|Safari|Firefox|FxiOS)\//i;

/** Extensions add a URL to a browser's name; a crawler's own URL follows a plus. */
function withoutUrls(agent: string): string {
  return browser.test(agent) ? agent.replaceAll(/(?<!\+)\bhttps?:\/\/[^\s)]*/gi, "") : agent;
}
