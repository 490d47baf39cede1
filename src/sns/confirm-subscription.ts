import type { Dispatcher } from "undici";
import { confirmationUrl, type SnsConfirmation } from "../domain/sns-message.ts";
import { get } from "./get.ts";

/**
 * Confirms a subscription of a verified message, at an address rebuilt from its signed parts.
 * @throws when AWS does not answer 200, with the beginning of its answer.
 */
export async function confirmSubscription(message: SnsConfirmation, dispatcher: Dispatcher): Promise<void> {
  const { status, text } = await get(confirmationUrl(message), dispatcher);
  if (status === 200) return;
  const beginning = text.slice(0, 500).replaceAll(/\s+/g, " ");
  throw new Error(`SNS answered ${status} to ConfirmSubscription: ${beginning}`);
}
