import { allows, apiKeyHash, keyOfHeader, type Scope } from "../domain/api-key.ts";
import { recentlyUsed } from "../domain/maps.ts";
import type { ApiKey } from "../storage/api-keys.ts";
import { ApiError } from "./errors.ts";

/** The authenticated client. */
export type Caller = { projectId: string; apiKeyId: string };

export type Authenticate = (authorization: string | undefined, scope: Scope | "*") => Promise<Caller>;

/** A revoked key is rejected within this time. */
const freshMs = 3_000;
const maxRemembered = 10_000;

type FoundKey = ApiKey & { sha256: Buffer };
type FindKeys = (sha256s: readonly Buffer[]) => Promise<FoundKey[]>;

/**
 * Finds keys by their hash and caches them for seconds. Unknown keys have a cache of their own, so that trying many does not
 * evict known ones. Looking up a hash needs no constant-time comparison: without the key, its hash cannot be chosen.
 */
export function createAuthenticate(find: FindKeys, now: () => Date): Authenticate {
  const known = recentlyUsed<{ key: ApiKey; untilMs: number }>(maxRemembered);
  const unknown = recentlyUsed<{ untilMs: number }>(maxRemembered);
  const findTogether = together(find);

  async function lookUp(text: string): Promise<ApiKey | null> {
    const hash = apiKeyHash(text);
    const name = hash.toString("base64");
    const nowMs = now().getTime();
    const remembered = known.get(name);
    if (remembered && nowMs < remembered.untilMs) return remembered.key;
    if (nowMs < (unknown.get(name)?.untilMs ?? 0)) return null;
    const key = await findTogether(hash);
    const untilMs = now().getTime() + freshMs;
    if (key) known.set(name, { key, untilMs });
    else unknown.set(name, { untilMs });
    return key;
  }

  return async (authorization, scope) => {
    const text = keyOfHeader(authorization);
    if (text === null) throw new ApiError(401, "An API key is required: Authorization: Bearer sk_proj_…");
    const key = await lookUp(text);
    if (key === null || key.revoked_at !== null)
      throw new ApiError(401, "This API key is unknown or revoked");
    if (!allows(key.scopes, scope)) throw new ApiError(403, `This API key lacks the scope ${scope}`);
    return { projectId: key.project_id, apiKeyId: key.id };
  };
}

/** One query at a time; keys that arrive meanwhile share the next one, so that trying keys does not use up connections. */
function together(find: FindKeys): (sha256: Buffer) => Promise<ApiKey | null> {
  let asked: Buffer[] = [];
  let next: Promise<FoundKey[]> | null = null;
  let underWay: Promise<unknown> = Promise.resolve();

  function findAsked(): Promise<FoundKey[]> {
    const batch = asked;
    asked = [];
    next = null;
    return find(batch);
  }

  return async (sha256) => {
    asked.push(sha256);
    next ??= underWay.then(findAsked, findAsked);
    underWay = next;
    return (await next).find((key) => key.sha256.equals(sha256)) ?? null;
  };
}
