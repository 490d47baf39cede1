import { type Corpus, makeCorpus } from "../corpus/corpus.ts";
import { makeSigner, type Signer } from "../corpus/sign.ts";
import { type Load, withLoad } from "../load/load.ts";
import { onRedis } from "../redis-server.ts";
import { onStage, postgresVersion, type Stage } from "../stage.ts";
import { withOurs } from "./ours.ts";
import type { Side } from "./side.ts";
import { withUsual } from "./usual.ts";

/** Everything that a comparison needs. */
export type SideBySide = {
  ours: Side;
  usual: Side;
  corpus: Corpus;
  load: Load;
  signer: Signer;
  stage: Stage;
  /** Versions of PostgreSQL and Redis. */
  servers: Record<string, string>;
};

/** @property notifications of the corpus, without repeats. @property queue of ours. */
export type SideBySideOptions = { notifications: number; seed: number; queue: "redis" | "postgres" };

const hourMs = 3_600_000;

/** What a benchmark of ours alone needs. */
export type Alone = Pick<SideBySide, "ours" | "corpus" | "load" | "stage" | "servers">;

/** Opens our side alone, makes the corpus, and starts the load generator. */
export function oursAlone<Result>(
  stop: AbortSignal,
  options: SideBySideOptions,
  work: (all: Alone) => Promise<Result>,
): Promise<Result> {
  return onRedis((redisOfOurs) =>
    onStage(stop, async (stage) => {
      const signer = await makeSigner(stage.directory);
      const corpus = await corpusOf(signer, options);
      const servers = { PostgreSQL: await postgresVersion(stage), Redis: redisOfOurs.version };
      const redis = options.queue === "redis" ? redisOfOurs : null;
      return withOurs(stage, { redis, signer }, (ours) =>
        withLoad(corpus, stage.directory, (load) => work({ ours, corpus, load, stage, servers })),
      );
    }),
  );
}

/** Opens both sides, each with its own PostgreSQL and Redis, makes the corpus, and starts the load generator. */
export function sideBySide<Result>(
  stop: AbortSignal,
  options: SideBySideOptions,
  work: (all: SideBySide) => Promise<Result>,
): Promise<Result> {
  const onOurs = (play: (stage: Stage) => Promise<Result>) => onStage(stop, play);
  const onUsual = (play: (stage: Stage) => Promise<Result>) => onStage(stop, play, { isMigrated: false });
  return onRedis((redisOfOurs) =>
    onRedis((redisOfUsual) =>
      onOurs((stage) =>
        onUsual(async (usualStage) => {
          const signer = await makeSigner(stage.directory);
          const corpus = await corpusOf(signer, options);
          const servers = { PostgreSQL: await postgresVersion(stage), Redis: redisOfOurs.version };
          const redis = options.queue === "redis" ? redisOfOurs : null;
          return withOurs(stage, { redis, signer }, (ours) =>
            withUsual(usualStage, { redis: redisOfUsual, signer }, (usual) =>
              withLoad(corpus, stage.directory, (load) =>
                work({ ours, usual, corpus, load, signer, stage, servers }),
              ),
            ),
          );
        }),
      ),
    ),
  );
}

/** Its times are of the last hours, as those of real notifications. */
function corpusOf(signer: Signer, { notifications, seed }: SideBySideOptions): Promise<Corpus> {
  const startMs = Date.now() - 4 * hourMs;
  return makeCorpus(signer, { notifications, seed, startMs });
}
