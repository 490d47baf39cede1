import type { AcceptedNotification } from "../../src/storage/journal.ts";
import { storeBatch } from "../../src/storage/journal.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { notification } from "./notification.ts";
import type { TestService } from "./service.ts";
import { asMessage, type SesPayload } from "./ses.ts";

/** An SES event as the journal holds it. */
function journaled(payload: SesPayload, fields: Partial<AcceptedNotification> = {}): AcceptedNotification {
  return notification({ body: JSON.stringify({ Message: asMessage(payload) }), ...fields });
}

/** Stores SES events as one batch and applies it. */
export async function apply(
  { context }: Pick<TestService, "context">,
  ...payloads: SesPayload[]
): Promise<void> {
  const batchId = context.clock.newId();
  await storeBatch(
    context.db,
    context.partitions,
    batchId,
    payloads.map((payload) => journaled(payload)),
  );
  await applyBatch(context, { batchId });
}
