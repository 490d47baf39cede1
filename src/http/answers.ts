import { z } from "zod";
import { uuidOrNull } from "../domain/computed-id.ts";
import { ApiError } from "./errors.ts";

/*
 * What responses of the native API have in common.
 */

/** The schema of `{"success": true, "data": …}`. */
export function dataAnswer<Data extends z.ZodType>(data: Data) {
  return z.object({ success: z.literal(true), data });
}

export function withData<Data>(data: Data) {
  return { success: true as const, data };
}

/**
 * Finds what a path names by its id.
 * @throws ApiError 404 with `message` if there is none; a text that is not a UUID is an unknown id.
 */
export async function foundById<Row>(
  givenId: string,
  find: (id: string) => Promise<Row | null>,
  message: string,
): Promise<Row> {
  const id = uuidOrNull(givenId);
  const row = id === null ? null : await find(id);
  if (row === null) throw new ApiError(404, message);
  return row;
}

export function isoOrNull(time: Date | null): string | null {
  return time?.toISOString() ?? null;
}
