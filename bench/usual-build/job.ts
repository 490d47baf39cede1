/** The queue of the usual build. */
export const queueName = "ses-events";

/** @property message the SES event as JSON. */
export type EventJob = { snsMessageId: string; message: string };

/** BullMQ finds a repeated MessageId while it keeps the job, so finished ones are kept for a while. */
export const jobOptions = (snsMessageId: string) => ({
  jobId: snsMessageId,
  attempts: 5,
  backoff: { type: "exponential", delay: 1_000 },
  removeOnComplete: { count: 10_000 },
  removeOnFail: { count: 10_000 },
});
