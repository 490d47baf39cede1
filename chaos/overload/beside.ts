import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** A script that works in a process of its own, so that it does not share a thread with what measures. */
export type Beside<Answer> = {
  /** Rejects if the process ends without an answer. */
  answer: Promise<Answer>;
  /** Asks it to finish, if it does not by itself. */
  finish(): void;
};

/** @param script of this directory; it is sent one message, and answers with one. */
export function startBeside<Answer>(script: string, order: object): Beside<Answer> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)));
  child.send(order);
  return { answer: answerOf<Answer>(child), finish: () => void child.send("finish") };
}

async function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  const ended = once(child, "exit").then(() => {
    throw new Error("A process beside has ended");
  });
  try {
    const [answer] = await Promise.race([once(child, "message"), ended]);
    return answer;
  } finally {
    ended.catch(() => {});
    child.disconnect();
  }
}

/** In such a script: works on the order, and answers. @param finished aborts when it is asked to finish. */
export function workOn<Order, Answer>(work: (order: Order, finished: AbortSignal) => Promise<Answer>): void {
  const finished = new AbortController();
  process.on("disconnect", () => process.exit());
  process.once("message", (order: Order) => {
    process.on("message", () => finished.abort());
    void work(order, finished.signal).then((answer) => process.send?.(answer));
  });
}
