import { z } from "zod";
import { findRecipient } from "../../storage/recipients.ts";
import type { ApiContext } from "../api-context.ts";
import { ApiError } from "../errors.ts";
import { emailAddress, pathText } from "../fields.ts";
import { type AnyRoute, defineRoute } from "../route.ts";

/** `/v1/recipients/:email`: what is known of a person. */
export function recipientRoutes({ db }: ApiContext): AnyRoute[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/recipients/:email",
      scope: "events:read",
      tag: "Recipients",
      summary: "A person's profile",
      params: z.object({ email: pathText }),
      query: z.object({}),
      answer: z.object({
        success: z.literal(true),
        data: z.object({
          id: z.string(),
          email: z.string(),
          attributes: z.record(z.string(), z.unknown()),
          suppressed: z.boolean(),
          created_at: z.string(),
          updated_at: z.string(),
        }),
      }),
      async handle({ caller, params }) {
        // What is no address is as unknown as any other.
        const address = emailAddress.safeParse(params.email);
        const found = address.success
          ? await findRecipient(db, caller.projectId, { address: address.data })
          : null;
        if (found === null) throw new ApiError(404, "There is no recipient with this address");
        const data = {
          id: found.id,
          email: found.address,
          attributes: found.attributes,
          suppressed: found.is_suppressed,
          created_at: found.created_at.toISOString(),
          updated_at: found.updated_at.toISOString(),
        };
        return { success: true as const, data };
      },
    }),
  ];
}
