import { ifPresent, type Reader } from "../../aws/reader.ts";

const askEveryMs = 1_000;

/**
 * Waits until SNS has confirmed a subscription.
 * @param pause waits for some milliseconds.
 * @param onWait is told how many seconds have passed.
 * @returns whether it was confirmed in time.
 */
export async function waitForConfirmation(
  reader: Pick<Reader, "subscriptionAttributes">,
  subscriptionArn: string,
  waitSeconds: number,
  pause: (milliseconds: number) => Promise<void>,
  onWait: (seconds: number) => void,
): Promise<boolean> {
  for (let waitedMs = 0; ; waitedMs += askEveryMs) {
    const attributes = await ifPresent(reader.subscriptionAttributes(subscriptionArn));
    if (attributes !== null && attributes["PendingConfirmation"] !== "true") return true;
    if (waitedMs >= waitSeconds * 1000) return false;
    onWait(waitedMs / 1000);
    await pause(askEveryMs);
  }
}
