import type { EmailEventType } from "../../domain/mail/event-names.ts";
import { type Interpretation, interpretNotification } from "../../domain/mail/interpret-notification.ts";
import { notificationsIn } from "./captured-forms.ts";
import type { LocalSigner } from "./local-signer.ts";
import { type ReadOptions, readCapture } from "./read-capture.ts";
import { envelopeMaker, type Prepared } from "./to-envelope.ts";

/** Which notifications of a capture are meant: all, those that tell of one of these, or those that tell of none. */
export type EventFilter = { kind: "only" | "except"; types: ReadonlySet<EmailEventType> } | null;

export type PrepareOptions = ReadOptions & {
  /** A file, a directory, or `-` for standard input. */
  path: string;
  signer: LocalSigner;
  /** The topic of what names none. */
  topicArn: string;
  filter?: EventFilter;
  /** No more than so many that pass the filter; null: all. */
  limit?: number | null;
};

/** What a capture holds at a place, counted from 1; `left-out` by the filter. */
export type Placed =
  | { kind: "notification"; position: number; prepared: Prepared }
  | { kind: "left-out"; position: number }
  | { kind: "unreadable"; position: number; place: string };

/** Reads a capture as what is to be posted. */
export async function* prepareCapture(options: PrepareOptions): AsyncGenerator<Placed> {
  const { path, signer, topicArn, filter = null, limit = null } = options;
  const prepare = envelopeMaker(signer, topicArn);
  let position = 0;
  let chosen = 0;
  for await (const captured of readCapture(path, options)) {
    if (captured.kind === "unreadable") {
      yield { kind: "unreadable", position: ++position, place: captured.place };
      continue;
    }
    for (const found of notificationsIn(captured.value, captured.text)) {
      if (limit !== null && chosen >= limit) return;
      const prepared = prepare(found);
      position++;
      if (isChosen(prepared, filter)) {
        chosen++;
        yield { kind: "notification", position, prepared };
      } else yield { kind: "left-out", position };
    }
  }
}

/** What a notification tells; of which project it is makes no difference to that. */
export function interpretPrepared({ message, publishedAt }: Prepared): Interpretation {
  return interpretNotification("", JSON.stringify({ Message: message }), publishedAt ?? new Date(0));
}

function isChosen(prepared: Prepared, filter: EventFilter): boolean {
  if (filter === null) return true;
  const read = interpretPrepared(prepared);
  const isOfThem = read.kind === "events" && read.events.some(({ event }) => filter.types.has(event.type));
  return isOfThem === (filter.kind === "only");
}
