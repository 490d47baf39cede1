import { createHash } from "node:crypto";

export const scopes = [
  "activity:read",
  "events:read",
  "events:write",
  "sends:read",
  "webhooks:read",
  "webhooks:write",
  "suppressions:read",
  "suppressions:write",
  "emails:send",
] as const;

export type Scope = (typeof scopes)[number];

const apiKeyStart = "sk_proj_";
const shownCharacters = apiKeyStart.length + 6;

/** Makes a key of 32 random bytes. It is shown once and not kept. */
export function apiKey(random: Buffer): string {
  return apiKeyStart + random.toString("base64url");
}

/** Keys are looked up by this hash. 256 random bits need no slow hash. */
export function apiKeyHash(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

/** The part of a key that may be shown. */
export function apiKeyPrefix(key: string): string {
  return key.slice(0, shownCharacters);
}

/** The key of an Authorization header: `Bearer sk_proj_…`, or the key alone. */
export function keyOfHeader(header: string | undefined): string | null {
  const key = header?.replace(/^Bearer\s+/i, "").trim();
  return key?.startsWith(apiKeyStart) ? key : null;
}

/** @param scope `*` is allowed only to keys that have all scopes. */
export function allows(granted: readonly string[], scope: Scope | "*"): boolean {
  return granted.includes("*") || granted.includes(scope);
}
