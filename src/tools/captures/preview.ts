import { activityName } from "../../domain/mail/event-names.ts";
import { parseSnsMessage } from "../../domain/mail/sns-message.ts";
import { interpretPrepared, type Prepared, type PrepareOptions, prepareCapture } from "./prepare.ts";

/** What the database already contains. */
export type Journal = {
  /** Allow-listed topics. */
  allowed: ReadonlySet<string>;
  /** How many of these notifications are in the journal. */
  countKnown(names: { arn: string; messageId: string; timestamp: Date }[]): Promise<number>;
};

export type PreviewOptions = PrepareOptions & {
  /** null: it cannot be read. */
  journal: Journal | null;
  onProgress?: (bytesRead: number, read: number) => void;
};

/** What a replay would do. */
export type Preview = {
  read: number;
  leftOut: number;
  unreadable: string[];
  /** In the journal, and not; null if it cannot be read. */
  known: number | null;
  unknown: number | null;
  /** The same SNS message as an earlier one in the capture. */
  repeated: number;
  signedHere: number;
  /** Why a receiver would refuse it → how many. */
  refused: Map<string, number>;
  /** Event, by the name that activities show → how many notifications are about it. */
  events: Map<string, number>;
  /** Set-up messages, inbound mail, unknown types. */
  ignored: number;
  /** Reason → how many would be quarantined. */
  quarantined: Map<string, number>;
  /** ARN → how many. */
  topics: Map<string, number>;
  emails: number;
  recipients: number;
  /** When SNS published the first and the last. */
  first: Date | null;
  last: Date | null;
};

const namesPerLook = 500;

/** Reads a capture without posting it, and reports what a replay would do. */
export async function previewCapture(options: PreviewOptions): Promise<Preview> {
  const { journal, onProgress } = options;
  const preview = emptyPreview(journal);
  const seen = { messages: new Set<string>(), emails: new Set<string>(), recipients: new Set<string>() };
  let bytesRead = 0;
  let toLookUp: Prepared[] = [];

  async function lookUp(): Promise<void> {
    if (journal === null || preview.known === null || preview.unknown === null) return;
    const known = await journal.countKnown(toLookUp.flatMap(nameOf));
    preview.known += known;
    preview.unknown += toLookUp.length - known;
    toLookUp = [];
  }

  const onBytes = (bytes: number) => {
    bytesRead += bytes;
  };
  for await (const placed of prepareCapture({ ...options, onBytes })) {
    if (placed.kind === "unreadable") preview.unreadable.push(placed.place);
    else if (placed.kind === "left-out") preview.leftOut++;
    else if (look(placed.prepared, preview, seen)) toLookUp.push(placed.prepared);
    if (toLookUp.length >= namesPerLook) await lookUp();
    onProgress?.(bytesRead, preview.read);
  }
  await lookUp();
  return { ...preview, emails: seen.emails.size, recipients: seen.recipients.size };
}

function emptyPreview(journal: Journal | null): Preview {
  return {
    ...{ read: 0, leftOut: 0, unreadable: [], repeated: 0, signedHere: 0, ignored: 0 },
    ...{ known: journal === null ? null : 0, unknown: journal === null ? null : 0 },
    ...{ refused: new Map(), events: new Map(), quarantined: new Map(), topics: new Map() },
    ...{ emails: 0, recipients: 0, first: null, last: null },
  };
}

type Seen = { messages: Set<string>; emails: Set<string>; recipients: Set<string> };

/** @returns whether to look it up: a receiver would accept it, and it has not occurred before in the capture. */
function look(prepared: Prepared, preview: Preview, seen: Seen): boolean {
  preview.read++;
  const refusal = refusalOf(prepared);
  if (refusal !== null) {
    add(preview.refused, refusal);
    return false;
  }
  if (prepared.isSignedHere) preview.signedHere++;
  const { topicArn, messageId, publishedAt } = prepared;
  add(preview.topics, topicArn);
  if (publishedAt !== null) {
    if (preview.first === null || publishedAt < preview.first) preview.first = publishedAt;
    if (preview.last === null || publishedAt > preview.last) preview.last = publishedAt;
  }
  lookInside(prepared, preview, seen);
  const name = `${topicArn} ${messageId.toLowerCase()} ${publishedAt?.getTime()}`;
  if (seen.messages.has(name)) {
    preview.repeated++;
    return false;
  }
  seen.messages.add(name);
  return true;
}

function lookInside(prepared: Prepared, preview: Preview, { emails, recipients }: Seen): void {
  const read = interpretPrepared(prepared);
  if (read.kind === "ignored") preview.ignored++;
  else if (read.kind === "invalid") add(preview.quarantined, read.reason);
  else if (read.kind === "account_status") add(preview.events, "account_status");
  else {
    for (const { facts } of read.events) {
      emails.add(facts.message_id);
      recipients.add(facts.recipient);
    }
    for (const type of new Set(read.events.map(({ event }) => event.type))) {
      add(preview.events, activityName(type));
    }
  }
}

/** Messages that are signed here are always well-formed. */
function refusalOf(prepared: Prepared): string | null {
  if (prepared.isSignedHere) return null;
  try {
    const { Type } = parseSnsMessage(prepared.body());
    return Type === "Notification" ? null : `It is a ${Type}, not a notification`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function nameOf({ topicArn, messageId, publishedAt }: Prepared) {
  return publishedAt === null ? [] : [{ arn: topicArn, messageId, timestamp: publishedAt }];
}

function add(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
