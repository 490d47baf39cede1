import { seededRandom } from "../bench/corpus/random.ts";
import { type Api, openApi } from "./load/api.ts";
import { loadNotifications, type NotificationLoad } from "./load/notifications.ts";
import { openSink, type Sink } from "./load/sink.ts";
import { startWriters, type Writers } from "./load/writers.ts";
import type { Stage } from "./stage/stage.ts";

/** Everybody who uses the product, each with a ledger. */
export type Traffic = {
  load: NotificationLoad;
  sink: Sink;
  api: Api;
  writers: Writers;
  close(): Promise<void>;
};

/** @param options `rate` is notifications a second. */
export async function startTraffic(
  stage: Stage,
  { seed, rate }: { seed: number; rate: number },
): Promise<Traffic> {
  const sink = await openSink();
  stage.toSink.leadTo(sink.port);
  const ports = stage.services.flatMap(({ toPort }) => (toPort ? [toPort.port] : []));
  const load = loadNotifications({
    random: seededRandom(seed),
    signer: stage.signer,
    ports,
    perSecond: rate,
  });
  const ended = new AbortController();
  const api = openApi(ports, stage.key, seededRandom(seed + 1), ended.signal);
  const { publishTo } = load;
  const tools = { api, random: seededRandom(seed + 2), sink, sinkPort: stage.toSink.port, publishTo };
  const writers = await startWriters(tools);
  const close = async () => {
    ended.abort();
    await load.close();
    await api.close();
    await sink.close();
  };
  return { load, sink, api, writers, close };
}
