import { boundToHeadersOf, type SecretBox } from "../webhooks/secret-box.ts";

/** What is sent with an endpoint's webhooks and nobody else may know. */
export type EndpointKeys = {
  /** `whsec_…`, the newest first. */
  secrets: string[];
  /** The customer's own headers. */
  headers: Record<string, string>;
};

/** @throws when they were encrypted with a key that we do not have. */
export function openKeys(
  secretBox: SecretBox,
  endpoint: { id: string; sealed_secrets: readonly Buffer[]; sealed_headers: Buffer | null },
): EndpointKeys {
  const { id, sealed_secrets, sealed_headers } = endpoint;
  return {
    secrets: sealed_secrets.map((sealed) => secretBox.open(sealed, id)),
    headers: sealed_headers === null ? {} : JSON.parse(secretBox.open(sealed_headers, boundToHeadersOf(id))),
  };
}

/** @returns null for no headers. */
export function sealHeaders(
  secretBox: SecretBox,
  endpointId: string,
  headers: Readonly<Record<string, string>>,
): Buffer | null {
  if (Object.keys(headers).length === 0) return null;
  return secretBox.seal(JSON.stringify(headers), boundToHeadersOf(endpointId));
}
