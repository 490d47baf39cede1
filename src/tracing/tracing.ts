import type { AttemptResult } from "../domain/webhooks/outcome.ts";
import type { NotificationSource, StoreOutcome } from "../metrics.ts";

/** Identifies an SNS message everywhere, and with it the trace. */
export type MessageName = { topicArn: string; messageId: string };

/** One receipt of a message, from its arrival until it was answered. */
export type Receipt = {
  message: MessageName;
  source: NotificationSource;
  arrivedAt: Date;
  outcome: StoreOutcome | "unavailable";
};

/** What a worker's transaction made of one message. */
export type AppliedNotification = {
  /** null when its envelope names none; then it is not traced. */
  message: MessageName | null;
  outcome: "events" | "account_status" | "ignored" | "invalid";
  /** null when it reports no event. */
  eventType: string | null;
  /** How many people it is about. */
  recipients: number;
};

export type PostOfDelivery = {
  /** Of the message that the delivery is about; null: it is not traced. */
  traceparent: string | null;
  endpointId: string;
  deliveryId: string;
  /** 1 for the first. */
  attempt: number;
};

/** An attempt under way. */
export type TracedPost = {
  /** Sent to the endpoint, so that its own spans can be part of the trace. */
  traceparent: string;
  end(result: AttemptResult): void;
};

/**
 * Traces notifications on their way. Attributes are ids, counts and classes: no address, subject, link or payload. Nothing
 * here throws, and nothing waits for the collector of the traces.
 */
export type Tracing = {
  /** false: whatever only traces need can be left out. */
  isOn: boolean;
  /** W3C traceparent of a message's first span; null: it is not sampled. Every process decides alike. */
  traceparentOf(message: MessageName): string | null;
  received(receipt: Receipt): void;
  /** Traces a commit of the receiver, and the jobs that `work` adds. */
  commit<Result>(messages: readonly MessageName[], work: () => Promise<Result>): Promise<Result>;
  /** A worker's transaction, once it is committed. */
  applied(startedAt: Date, batchIds: readonly string[], notifications: readonly AppliedNotification[]): void;
  /** One that was rolled back. */
  notApplied(startedAt: Date, batchId: string): void;
  /** @returns null when it is not traced. */
  startPost(post: PostOfDelivery): TracedPost | null;
  /** Sends what is left, for two seconds at most. */
  close(): Promise<void>;
};

export const noTracing: Tracing = {
  isOn: false,
  traceparentOf: () => null,
  received: () => {},
  commit: (_messages, work) => work(),
  applied: () => {},
  notApplied: () => {},
  startPost: () => null,
  close: async () => {},
};
