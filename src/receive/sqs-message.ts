import type { Message } from "@aws-sdk/client-sqs";
import { z } from "zod";
import { pause } from "../clock.ts";
import { RefusedError, refusalCause, UnavailableError } from "../domain/errors.ts";
import { jsonOrNull } from "../domain/json.ts";
import { errorText, type Logger } from "../logger.ts";
import type { Accepted, Intake } from "./intake.ts";

/** A message whose own certificate or confirmation cannot be had goes back to the queue after these tries. */
const triesForItself = 5;
const firstPauseMs = 500;
const longestPauseMs = 10_000;

export type SqsMessageOptions = {
  intake: Pick<Intake, "accept" | "acceptRaw">;
  log: Logger;
  /** Of the queue; raw notifications belong to it. */
  queueArn: string;
  /** Ends the waiting for a database that is away. */
  stopping: AbortSignal;
};

const SnsEnvelope = z.object({ Type: z.string(), TopicArn: z.string(), Signature: z.string() });

/**
 * Takes a message of a queue in. While the database is away it waits here rather than in the queue, where every new
 * receipt would count towards `maxReceiveCount` and send good messages to the dead letters.
 *
 * @returns whether it is durable, or says nothing that must be kept, so that it can be deleted. Everything else stays
 * in the queue, and is SQS's to repeat or to move to the dead letters.
 */
export async function takeSqsMessage(message: Message, options: SqsMessageOptions): Promise<boolean> {
  let pauseMs = firstPauseMs;
  for (let attempt = 1; !options.stopping.aborted; attempt++) {
    try {
      await accept(message, options);
      return true;
    } catch (error) {
      if (!isWorthAnother(error, attempt)) {
        leave(message, error, options);
        return false;
      }
    }
    await pause(pauseMs, options.stopping);
    pauseMs = Math.min(pauseMs * 2, longestPauseMs);
  }
  return false;
}

function accept(
  { Body = "", MessageId = "", Attributes }: Message,
  { intake, queueArn }: SqsMessageOptions,
): Promise<Accepted> {
  if (isEnvelope(Body)) return intake.accept(Body, "sqs");
  // Raw delivery: that only SNS may write to the queue is for the queue's policy to see to.
  const sentAtMs = Number(Attributes?.SentTimestamp);
  const sentAt = Number.isFinite(sentAtMs) ? new Date(sentAtMs) : null;
  return intake.acceptRaw({ sourceArn: queueArn, messageId: MessageId, sentAt, message: Body }, "sqs");
}

function isEnvelope(body: string): boolean {
  return SnsEnvelope.safeParse(jsonOrNull(body)).success;
}

function isWorthAnother(error: unknown, attempt: number): boolean {
  if (error instanceof RefusedError) return false;
  if (error instanceof UnavailableError && !error.isOfOneMessage) return true;
  return attempt < triesForItself;
}

function leave({ MessageId }: Message, error: unknown, { log, queueArn }: SqsMessageOptions): void {
  const cause = refusalCause(error) ?? errorText(error);
  log.warn({ queue: queueArn, sqs_message_id: MessageId, cause }, "message left in the queue");
}
