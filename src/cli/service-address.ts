import { request } from "undici";
import { errorText } from "../logger.ts";
import { readHttpUrl, UsageError } from "./command.ts";

/** Reads `--url`, where a service runs. @returns it without a final slash. @throws UsageError */
export function readServiceUrl(text: string): string {
  return readHttpUrl("--url", text, "http://127.0.0.1:3000").replace(/\/+$/, "");
}

/**
 * Makes sure that a service runs: beside none, a command would start a database of its own, and wait for ever.
 * @throws UsageError when nothing answers.
 */
export async function findService(url: string): Promise<void> {
  try {
    const { body } = await request(`${url}/healthz`);
    await body.dump();
  } catch (cause) {
    throw new UsageError(
      `No Fanmail answers at ${url} (${errorText(cause)}). Start it with npx fanmail start, or name its address with --url`,
      { cause },
    );
  }
}
