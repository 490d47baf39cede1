import { allows, apiKeyHash, keyOfHeader, type Scope } from "../domain/api-key.ts";
import type { ApiKey } from "../storage/api-keys.ts";
import { ApiError } from "./errors.ts";

/** Who asks: the project of the key. */
export type Caller = { projectId: string; keyId: string };

export type Authenticate = (authorization: string | undefined, scope: Scope | "*") => Promise<Caller>;

/** A revoked key is refused within this time. */
const freshMs = 3_000;
const maxRemembered = 10_000;

/**
 * Finds keys by their hash and remembers them for seconds, unknown ones too.
 * Looking up a hash needs no constant-time comparison: who does not have the key cannot steer its hash.
 */
export function createAuthenticate(
  find: (sha256: Buffer) => Promise<ApiKey | null>,
  now: () => Date,
): Authenticate {
  const remembered = new Map<string, { key: ApiKey | null; untilMs: number }>();

  async function lookUp(key: string): Promise<ApiKey | null> {
    const hash = apiKeyHash(key);
    const name = hash.toString("base64");
    const known = remembered.get(name);
    if (known && now().getTime() < known.untilMs) return known.key;
    const found = await find(hash);
    if (remembered.size >= maxRemembered) remembered.clear();
    remembered.set(name, { key: found, untilMs: now().getTime() + freshMs });
    return found;
  }

  return async (authorization, scope) => {
    const text = keyOfHeader(authorization);
    if (text === null) throw new ApiError(401, "An API key is required: Authorization: Bearer sk_proj_…");
    const key = await lookUp(text);
    if (key === null || key.revoked_at !== null)
      throw new ApiError(401, "This API key is unknown or revoked");
    if (!allows(key.scopes, scope)) throw new ApiError(403, `This API key lacks the scope ${scope}`);
    return { projectId: key.project_id, keyId: key.id };
  };
}
