import cluster from "node:cluster";
import { AggregatorRegistry, type Registry } from "prom-client";

/*
 * With `--processes`, a scrape reaches any one of the processes. That one asks the primary, which collects what each has
 * counted and adds it up.
 */

const question = "fanmail:metrics";
/** A text, or what kept the primary from making it. */
type Answer = { type: typeof question } & ({ text: string } | { failure: string });

/** @returns what gives the metrics of all processes, in Prometheus' text format. For one of several processes. */
export function metricsOfAll(registry: Registry): () => Promise<string> {
  AggregatorRegistry.setRegistries(registry);
  // Makes this process answer when the primary collects.
  new AggregatorRegistry();
  let asked: Promise<string> | undefined;
  return () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
}

function ask(): Promise<string> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: Partial<Answer>) => {
      if (answer.type !== question) return;
      process.off("message", onMessage);
      if ("text" in answer && answer.text !== undefined) resolve(answer.text);
      else reject(new Error("The metrics of all processes cannot be collected", { cause: answer }));
    };
    process.on("message", onMessage);
    cluster.worker?.send({ type: question });
  });
}

/** Makes the primary answer. */
export function answerMetricsOfAll(): void {
  const all = new AggregatorRegistry();
  cluster.on("message", async (worker, { type }) => {
    if (type !== question) return;
    const answer: Answer = await all.clusterMetrics().then(
      (text) => ({ type: question, text }),
      (error: Error) => ({ type: question, failure: error.message }),
    );
    if (worker.isConnected()) worker.send(answer);
  });
}
