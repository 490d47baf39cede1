import { createHash } from "node:crypto";
import { exactJson } from "../domain/exact-json.ts";
import type { Guard, TrackedEvent } from "../events/track-events.ts";
import type { Database } from "../storage/database.ts";
import { ApiError } from "./errors.ts";
import { storableText } from "./fields.ts";
import { findAnswer, type KeyedRequest, keepAnswer, takeKey } from "./idempotency-keys.sql.ts";

/** The request headers of a route that can be repeated safely. */
export const idempotencyHeaders = {
  "idempotency-key": storableText(256).optional().meta({
    description:
      "Repeats with the same key within 24 hours get the first response again; nothing is stored twice.",
  }),
};

type OnceRequest = {
  projectId: string;
  /** Without a key, every request is new. */
  key: string | undefined;
  /** A key is valid for one route. */
  route: string;
  body: unknown;
  status: number;
};

type Answered<Answer> = { answer: Answer; isRepeat: boolean };

/** Rolls back the transaction of a request that was answered before. */
class AnsweredBefore extends Error {
  override readonly name = "AnsweredBefore";
}

/**
 * Tracks events once for each key: the response is stored in the transaction of the events.
 * @throws ApiError 409 if the key was used for another request.
 */
export async function answerOnce<Answer>(
  db: Database,
  { projectId, key, route, body, status }: OnceRequest,
  track: (guard?: Guard) => Promise<TrackedEvent[]>,
  answerOf: (tracked: readonly TrackedEvent[]) => Answer,
): Promise<Answered<Answer>> {
  if (key === undefined) return { answer: answerOf(await track()), isRepeat: false };
  const sha256 = createHash("sha256")
    .update(exactJson([route, body]))
    .digest();
  const request: KeyedRequest = { project_id: projectId, key, request_sha256: sha256 };
  try {
    const tracked = await track({
      async before(tx) {
        if (!(await takeKey(tx, request))) throw new AnsweredBefore();
      },
      finish: (tx, events) => keepAnswer(tx, request, status, answerOf(events)),
    });
    return { answer: answerOf(tracked), isRepeat: false };
  } catch (error) {
    if (!(error instanceof AnsweredBefore)) throw error;
    return { answer: await firstAnswer<Answer>(db, request), isRepeat: true };
  }
}

async function firstAnswer<Answer>(db: Database, request: KeyedRequest): Promise<Answer> {
  const first = await findAnswer(db, request);
  // The key expired in between; the next try is a new request.
  if (first === null)
    throw new ApiError(409, "This Idempotency-Key is being used by another request; try again");
  if (!first.request_sha256.equals(request.request_sha256)) {
    throw new ApiError(409, "This Idempotency-Key was used for another request within the last 24 hours");
  }
  // keepAnswer wrote it for a request of the same route, so it has the same type.
  return first.answer as Answer;
}
