import type { EventDetail } from "./event-detail.ts";

/** Why a server refused an email, in plain words. */
export type BounceCause = {
  /** What happened; a clause before the advice. */
  said: string;
  /** What to do if the address is not suppressed. */
  advice: string;
};

const causes = {
  domain: {
    said: "The domain of the address cannot be found, or takes no email",
    advice: "look for a typing error before you send again",
  },
  noAddress: {
    said: "The receiving server says that the address does not exist",
    advice: "look for a typing error or take it off your lists, although SES does not call this final",
  },
  disabled: {
    said: "The receiving server says that the mailbox is disabled or takes no email",
    advice: "take the address off your lists unless the recipient says otherwise",
  },
  full: {
    said: "The receiving server says that the mailbox, or the server, is full",
    advice: "send again later, and take the address off your lists if it stays full",
  },
  tooLarge: {
    said: "The receiving server says that the email is too large",
    advice: "make it smaller before you send it again",
  },
  authentication: {
    said: "The receiving server refused the email because it could not verify the sender",
    advice: "check SPF, DKIM and DMARC of your domain before you send again",
  },
  policy: {
    said: "The receiving server refused the email as spam or against its policy, and refuses it again",
    advice: "check your content, your domain's reputation and who you write to",
  },
  content: {
    said: "The receiving server refused the content of the email or could not convert it",
    advice: "change it before you send it again",
  },
  deferred: {
    said: "The receiving server put the email off until SES stopped trying, as it does with senders that it does not trust yet",
    advice: "send again later, and more slowly",
  },
  unreachable: {
    said: "The receiving server could not be reached until SES stopped trying",
    advice: "send again later, and check the domain if it happens again",
  },
  refused: {
    said: "The receiving server refused the email for good",
    advice: "check the address, and do not send the same email again",
  },
} as const satisfies Record<string, BounceCause>;

/**
 * The delivery status of a bounce says more than its type: SES calls some bounces transient that servers refuse for
 * good. The first matching pattern applies.
 * Source: RFC 3463 and its registry at IANA; codes beyond 300 are Microsoft's.
 */
const patterns: readonly [RegExp, keyof typeof causes][] = [
  [/^5\.(1\.(2|10)|4\.(4|310|312))$/, "domain"],
  [/^5\.(1\.(0|1|3|4|6|9)|4\.1)$/, "noAddress"],
  [/^5\.2\.[01]$/, "disabled"],
  [/^[45]\.(2\.2|3\.1)$/, "full"],
  [/^[45]\.(2\.3|3\.4)$/, "tooLarge"],
  [/^[45]\.7\.(2\d|30|509|515)$/, "authentication"],
  [/^5\.7\./, "policy"],
  [/^[45]\.6\./, "content"],
  [/^4\.7\./, "deferred"],
  [/^(4\.(1\.2|3\.[02]|4\.\d+)|5\.4\.[2-7])$/, "unreachable"],
  [/^5\./, "refused"],
];

/** @returns null if the server gives no known reason. */
export function bounceCause(detail: EventDetail): BounceCause | null {
  const code = statusCode(detail);
  const known = patterns.find(([pattern]) => pattern.test(code));
  return known ? causes[known[1]] : null;
}

const enhancedCode = /(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)/;
/** SMTP replies that say more than their class, with their enhanced codes. */
const replies: Readonly<Record<string, string>> = {
  "551": "5.1.6",
  "552": "5.2.2",
  "553": "5.1.3",
  "556": "5.1.10",
  "452": "4.2.2",
};

/** The delivery status code, or the code in the diagnostic text if that is missing or less specific. */
function statusCode({ status_code = "", diagnostic_code = "" }: EventDetail): string {
  const [status] = enhancedCode.exec(status_code) ?? [];
  if (status !== undefined && !status.endsWith(".0.0")) return status;
  const [told] = enhancedCode.exec(diagnostic_code) ?? [];
  if (told !== undefined) return told;
  const [reply = ""] = /(?<![\d.])[45]\d\d(?![\d.])/.exec(diagnostic_code) ?? [];
  return replies[reply] ?? status ?? (reply && `${reply[0]}.0.0`);
}
