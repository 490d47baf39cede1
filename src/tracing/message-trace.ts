import { createHash } from "node:crypto";

/** What names an SNS message everywhere: whoever has it can find the trace. */
export type MessageName = { topicArn: string; messageId: string };

/** The ids of the trace of a message and of its first span, in lower-case hexadecimal. */
export type MessageTrace = { traceId: string; spanId: string };

/**
 * The trace of an SNS message. It is computed, so that a worker knows it without anything being stored, and a repeat lands
 * in the same one: SHA-256 of `<topic ARN>\n<SNS MessageId>`, of which 16 bytes are the trace's id and the next 8 the id of
 * the span that everything else descends from.
 */
export function messageTrace({ topicArn, messageId }: MessageName): MessageTrace {
  const digest = createHash("sha256").update(`${topicArn}\n${messageId.toLowerCase()}`).digest("hex");
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

/** W3C Trace Context, section 3.2: version 00, and the flag that the trace is recorded. */
export function traceparentOf({ traceId, spanId }: MessageTrace): string {
  return `00-${traceId}-${spanId}-01`;
}

/** @returns null for what is not a traceparent of ours. */
export function readTraceparent(text: string): MessageTrace | null {
  const [, traceId, spanId] = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/.exec(text) ?? [];
  return traceId && spanId ? { traceId, spanId } : null;
}
