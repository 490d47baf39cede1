import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import { webhookSecret } from "../domain/webhooks/signature.ts";
import type { Database } from "../storage/database.ts";
import {
  type EndpointChange,
  type EndpointRef,
  type EndpointSettings,
  insertEndpoint,
  rotateSecret,
  updateEndpoint,
} from "../storage/webhooks/endpoints.ts";
import { type SecretBox, sealEndpointHeaders } from "./secret-box.ts";

export type EndpointContext = { db: Database; clock: Clock; secretBox: SecretBox };

/** Every batch of a project looks at all of its endpoints. */
export const maxEndpoints = 1_000;

/** What an owner says of an endpoint; what is left out has its default, or stays as it is. */
export type EndpointInput = Omit<EndpointChange, "url" | "header_names" | "sealed_headers"> & {
  headers?: Readonly<Record<string, string>> | undefined;
};

const defaults: Omit<EndpointSettings, "url"> = {
  event_types: ["*"],
  description: null,
  header_names: [],
  max_in_flight: 10,
  rate_per_second: null,
  ordered: false,
  legacy_signature: false,
};

/**
 * Adds an endpoint to a project.
 * @param url checked: see `readEndpointUrl` and `AddressGuard`.
 * @returns its id, and its secret, which is shown this once.
 */
export async function addEndpoint(
  { db, clock, secretBox }: EndpointContext,
  projectId: string,
  url: string,
  { headers = {}, ...settings }: EndpointInput = {},
): Promise<{ id: string; secret: string }> {
  const id = clock.newId();
  const secret = newSecret();
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  await insertEndpoint(db, {
    ...defaults,
    ...given,
    url,
    header_names: Object.keys(headers),
    sealed_headers: sealEndpointHeaders(secretBox, id, headers),
    project_id: projectId,
    id,
    secret: { id: clock.newId(), sealed: secretBox.seal(secret, id) },
  });
  return { id, secret };
}

/** Changes what is given, and leaves the rest. @param url checked, as in `addEndpoint`. */
export async function changeEndpoint(
  { db, secretBox }: Pick<EndpointContext, "db" | "secretBox">,
  endpoint: EndpointRef,
  { headers, ...change }: EndpointInput & { url?: string | undefined },
): Promise<void> {
  const sealed = headers && {
    header_names: Object.keys(headers),
    sealed_headers: sealEndpointHeaders(secretBox, endpoint.id, headers),
  };
  await updateEndpoint(db, endpoint, { ...change, ...sealed });
}

/**
 * Gives an endpoint another secret. Those before it sign beside it for the time of the overlap, so that a receiver may know
 * either.
 * @returns the secret, which is shown this once.
 */
export async function giveNewSecret(
  { db, clock, secretBox }: EndpointContext,
  endpoint: EndpointRef,
  overlapHours: number,
): Promise<string> {
  const secret = newSecret();
  const sealed = { id: clock.newId(), sealed: secretBox.seal(secret, endpoint.id) };
  await db.transaction((tx) => rotateSecret(tx, endpoint, sealed, overlapHours * 3600));
  return secret;
}

function newSecret(): string {
  return webhookSecret(randomBytes(32));
}
