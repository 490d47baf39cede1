import type { AttemptResult } from "../domain/webhooks/outcome.ts";
import type { MessageName } from "./message-trace.ts";

/** One time that a message came, from its arrival until it was answered for. */
export type Receipt = {
  message: MessageName;
  traceparent: string | null;
  source: "http" | "sqs";
  arrivedAt: Date;
  outcome: "stored" | "duplicate" | "unavailable";
};

/** What a worker's transaction made of one message. */
export type AppliedNotification = {
  traceparent: string | null;
  outcome: "events" | "account_status" | "ignored" | "invalid";
  /** null where it tells of no event. */
  eventType: string | null;
  /** How many people it tells of. */
  recipients: number;
};

export type PostOfDelivery = {
  /** That of the message which it tells of; null: nothing is traced. */
  traceparent: string | null;
  endpointId: string;
  deliveryId: string;
  /** 1 for the first. */
  attempt: number;
};

/** An attempt on its way. */
export type TracedPost = {
  /** What the receiver is told, so that its own spans can be part of the trace. */
  traceparent: string;
  end(result: AttemptResult): void;
};

/**
 * Traces the way of notifications. Attributes are ids, counts and classes: no address, subject, link or payload. Nothing
 * here throws, and nothing waits for what collects the traces.
 */
export type Tracing = {
  /** false: what only traces need can be left out. */
  isOn: boolean;
  /** W3C traceparent of what a message leads to; null: it is not sampled. Every process decides alike. */
  traceparentOf(message: MessageName): string | null;
  received(receipt: Receipt): void;
  /** Traces a commit of the receiver, and what `work` asks queues to do. */
  commit<Result>(traceparents: readonly (string | null)[], work: () => Promise<Result>): Promise<Result>;
  /** A worker's transaction, once it is committed. */
  applied(startedAt: Date, batchIds: readonly string[], notifications: readonly AppliedNotification[]): void;
  /** One that was rolled back. */
  notApplied(startedAt: Date, batchId: string): void;
  /** @returns null when it is not traced. */
  startPost(post: PostOfDelivery): TracedPost | null;
  /** Sends what is left; after two seconds it is given up. */
  close(): Promise<void>;
};

export const noTracing: Tracing = {
  isOn: false,
  traceparentOf: () => null,
  received: () => {},
  commit: (_traceparents, work) => work(),
  applied: () => {},
  notApplied: () => {},
  startPost: () => null,
  close: async () => {},
};
