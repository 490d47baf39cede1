import { UnavailableError } from "../domain/errors.ts";

/**
 * Does work that holds a message in memory, unless too much of that is under way: then the sender is told at once, before
 * a signature is checked, and what has been let in is answered in time.
 * @throws UnavailableError
 */
export type Admission = <Result>(bytes: number, work: () => Promise<Result>) => Promise<Result>;

export function createAdmission(most: { mostMessages: number; mostBytes: number }): Admission {
  let messages = 0;
  let bytesHeld = 0;
  return async (bytes, work) => {
    if (messages >= most.mostMessages || bytesHeld + bytes > most.mostBytes)
      throw new UnavailableError("Too many notifications are waiting to be stored");
    messages++;
    bytesHeld += bytes;
    try {
      return await work();
    } finally {
      messages--;
      bytesHeld -= bytes;
    }
  };
}
