import { randomBytes } from "node:crypto";
import type { Context } from "../../src/context.ts";
import { webhookSecret } from "../../src/domain/webhook-signature.ts";
import { insertEndpoint } from "../../src/storage/endpoints.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";

/** Makes an endpoint of the default project. */
export async function addEndpoint(
  { clock, db, secretBox }: Context,
  url: string,
  { eventTypes = ["*"] } = {},
): Promise<{ id: string; secret: string }> {
  const id = clock.newId();
  const secret = webhookSecret(randomBytes(32));
  await insertEndpoint(db, {
    project_id: defaultProjectId,
    id,
    url,
    event_types: eventTypes,
    description: null,
    secret: { id: clock.newId(), sealed: secretBox.seal(secret, id) },
  });
  return { id, secret };
}
