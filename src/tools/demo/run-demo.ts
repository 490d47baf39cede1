import { pause } from "../../clock.ts";
import type { Context } from "../../context.ts";
import type { LocalSigner } from "../captures/local-signer.ts";
import { type ReplayOptions, replayCapture } from "../captures/post.ts";
import type { DemoResult } from "./report.ts";
import { type Shop, shopTopic } from "./shop.ts";
import {
  countDeliveries,
  countDiscards,
  countEvents,
  countNotifications,
  countSuppressions,
  sumBatches,
} from "./statistics.sql.ts";
import type { WebhookSink } from "./webhook-sink.ts";

const settleWithinMs = 60_000;

/** What takes part in a demonstration. */
export type Stage = {
  context: Context;
  shop: Shop;
  sink: WebhookSink;
  signer: LocalSigner;
  /** Of the service. */
  url: string;
  capturePath: string;
  /** Ends the demonstration early. */
  stop: AbortSignal;
};

/** Replays the week into the receiver, over HTTP, and waits until everything that follows from it has happened. */
export async function runDemo(stage: Stage, onProgress: ReplayOptions["onProgress"]): Promise<DemoResult> {
  const startedMs = Date.now();
  const summary = await replayCapture({
    path: stage.capturePath,
    signer: stage.signer,
    topicArn: shopTopic,
    url: `${stage.url}/ingest/sns`,
    rate: null,
    giveUpAfterMs: 30_000,
    stopping: stage.stop,
    ...(onProgress ? { onProgress } : {}),
  });
  const seconds = (Date.now() - startedMs) / 1000;
  await settle(stage);
  const { db } = stage.context;
  return {
    summary,
    journal: await countNotifications(db, stage.shop.projectId),
    batches: await sumBatches(db),
    events: await countEvents(db, stage.shop.projectId),
    discards: await countDiscards(db, stage.shop.projectId),
    suppressions: await countSuppressions(db, stage.shop.projectId),
    deliveries: await countDeliveries(db, stage.shop.projectId),
    verified: stage.sink.verified.size,
    refused: stage.sink.refused,
    seconds,
  };
}

/** Waits until all batches are applied and all deliveries made. */
async function settle({ context: { db }, shop, stop }: Stage): Promise<void> {
  const untilMs = Date.now() + settleWithinMs;
  while (Date.now() < untilMs && !stop.aborted) {
    const { unapplied } = await sumBatches(db);
    const deliveries = await countDeliveries(db, shop.projectId);
    const isUnderWay = ["pending", "leased", "retrying"].some((state) => deliveries.has(state));
    if (unapplied === 0 && !isUnderWay) return;
    await pause(50, stop);
  }
}
