import { createHash } from "node:crypto";
import { jsonOrNull } from "../../../src/domain/json.ts";
import type { Fields } from "../../support/sns-signer.ts";
import type { MutatedPost } from "./mutated-posts.ts";
import type { WireAnswer } from "./wire.ts";

type Row = { sns_message_id: string; body: string };

/** Holds answers and journal to what has been posted. */
export type AcceptedOnly = {
  answered(post: MutatedPost, answer: WireAnswer | null): void;
  /** @param rows what the journal has got since the last call. @returns what is wrong with them and with the answers. */
  wrongWith(rows: readonly Row[]): string[];
  /** How many notifications the journal has got. */
  stored(): number;
};

/** @param wasSigned whether the values of an envelope have been signed. */
export function acceptedOnly(wasSigned: (fields: Fields) => boolean): AcceptedOnly {
  let wrong: string[] = [];
  /** Since the last call of `wrongWith`. */
  let accepted: { post: MutatedPost; outcome: string }[] = [];
  const storedIds = new Set<string>();
  const storedRaw = new Set<string>();
  let stored = 0;

  function checkRow({ sns_message_id, body }: Row, bodies: ReadonlySet<string>): void {
    const fields = fieldsOf(body);
    const complain = (what: string) => void wrong.push(`${what}: ${body.slice(0, 300)}`);
    if ("Signature" in fields) {
      if (!wasSigned(fields)) complain("stored, but not signed");
      if (!bodies.has(body)) complain("stored, but not posted like this, or not answered 200");
      if (String(fields["MessageId"]).toLowerCase() !== sns_message_id)
        complain(`stored as ${sns_message_id}`);
      storedIds.add(sns_message_id);
    } else {
      if (!bodies.has(String(fields["Message"]))) complain("stored, but not posted with the token");
      storedRaw.add(digest(String(fields["Message"])));
    }
  }

  function isStored({ isRaw, body }: MutatedPost, fields: Fields): boolean {
    return isRaw ? storedRaw.has(digest(body)) : storedIds.has(String(fields["MessageId"]).toLowerCase());
  }

  /** @returns null if the answer is right. */
  function wrongOutcome(post: MutatedPost, outcome: string): string | null {
    const fields = fieldsOf(post.body);
    switch (outcome) {
      case "confirmed":
      case "unsubscribed":
        return wasSigned(fields) ? null : `${outcome}, but not signed`;
      case "stored":
      case "duplicate":
        return isStored(post, fields) ? null : "answered 200, but not in the journal";
      default:
        return `answered ${outcome}`;
    }
  }

  function complain(post: MutatedPost, complaint: string | null): void {
    if (complaint !== null) wrong.push(`${post.names.join(", ")}: ${complaint}: ${post.body.slice(0, 300)}`);
  }

  return {
    answered(post, answer) {
      complain(post, wrongAnswer(post, answer));
      if (answer?.status === 200) accepted.push({ post, outcome: String(fieldsOf(answer.text)["status"]) });
    },
    wrongWith(rows) {
      const bodies = new Set(accepted.map(({ post }) => post.body));
      for (const row of rows) checkRow(row, bodies);
      for (const { post, outcome } of accepted) complain(post, wrongOutcome(post, outcome));
      stored += rows.length;
      const found = wrong;
      wrong = [];
      accepted = [];
      return found;
    },
    stored: () => stored,
  };
}

/** @returns null if it is right. */
function wrongAnswer({ effect }: MutatedPost, answer: WireAnswer | null): string | null {
  const status = answer?.status ?? 400;
  const isRefused = status >= 400 && status < 500;
  // AWS has no such certificate, but may have it soon.
  const isUnverified = status === 503 && /certificate/i.test(answer?.text ?? "");
  const isRight = {
    harmless: status === 200,
    fatal: isRefused,
    unverified: isRefused || isUnverified,
    open: isRefused || isUnverified || status === 200,
  }[effect];
  return isRight ? null : `${effect}, but answered ${answer?.status} ${answer?.text}`;
}

function fieldsOf(json: string): Fields {
  const value = jsonOrNull(json);
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
