import { type ChildProcess, fork } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Corpus, notificationsInBlock } from "../corpus/corpus.ts";
import { end } from "../processes.ts";
import { storeBodies } from "./stored-bodies.ts";

/** What the generator is told. */
export type LoadOrder =
  | { kind: "read"; file: string }
  | {
      kind: "post";
      origin: string;
      path: string;
      /** The part of the corpus: its first blocks. */
      blocks: number;
      connections: number;
      /** null: as fast as the replies come. */
      perSecond: number | null;
      /** Each so many-th request is reported as it is sent; null: none. */
      sampleEvery: number | null;
    };

/**
 * @property startedAtMs when the first request was sent, in milliseconds since 1970.
 * @property latenciesMs from when a request was due to its reply.
 */
export type LoadReport = { posted: number; startedAtMs: number; seconds: number; latenciesMs: number[] };

/** What the generator says. @property atMs milliseconds since 1970. */
export type LoadWord =
  | { kind: "read" }
  | { kind: "sent"; place: number; atMs: number }
  | { kind: "posted"; report: LoadReport }
  | { kind: "failed"; reason: string };

/** Posts a corpus. */
export type Load = {
  /**
   * Posts the first `notifications` of the corpus, and resolves when all were answered 200.
   * @param onSent called with the place in that part of each request that is sampled.
   * @throws when a request is answered anything else.
   */
  post(order: PostOptions, onSent?: (place: number, atMs: number) => void): Promise<LoadReport>;
};

type PostOptions = Pick<Extract<LoadOrder, { kind: "post" }>, "origin" | "path" | "connections"> & {
  notifications: number;
  perSecond?: number;
  sampleEvery?: number;
};

/** Starts the generator, a process of its own, for `work`. */
export async function withLoad<Result>(
  corpus: Corpus,
  directory: string,
  work: (load: Load) => Promise<Result>,
): Promise<Result> {
  const file = join(directory, "corpus");
  await writeFile(file, storeBodies(corpus));
  const child = fork(fileURLToPath(new URL("generator.js", import.meta.url)));
  try {
    await answer(child, { kind: "read", file });
    return await work({ post: (options, onSent) => post(child, options, onSent) });
  } finally {
    await end(child);
  }
}

async function post(
  child: ChildProcess,
  { notifications, perSecond, sampleEvery, ...where }: PostOptions,
  onSent?: (place: number, atMs: number) => void,
): Promise<LoadReport> {
  const blocks = Math.ceil(notifications / notificationsInBlock);
  const pace = { perSecond: perSecond ?? null, sampleEvery: sampleEvery ?? null };
  const said = await answer(child, { kind: "post", blocks, ...pace, ...where }, onSent);
  if (said.kind !== "posted") throw new Error("unreachable: a post is answered with a report");
  return said.report;
}

/** Sends an order, and waits until it is done. */
function answer(
  child: ChildProcess,
  order: LoadOrder,
  onSent: (place: number, atMs: number) => void = () => {},
): Promise<LoadWord> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      child.off("message", hear).off("exit", onExit);
      then();
    };
    const onExit = () => settle(() => reject(new Error("The load generator has ended")));
    const hear = (word: LoadWord) => {
      if (word.kind === "sent") onSent(word.place, word.atMs);
      else if (word.kind === "failed") settle(() => reject(new Error(word.reason)));
      else settle(() => resolve(word));
    };
    child.on("message", hear).once("exit", onExit);
    child.send(order);
  });
}
