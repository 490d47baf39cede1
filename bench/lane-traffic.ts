import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../src/clock.ts";
import { defaultProjectId } from "../src/storage/projects.ts";
import { insertDeliveries, type NewDelivery } from "../src/storage/webhooks/deliveries.ts";
import {
  endTurns,
  type LaneScene,
  lanesOf,
  maxInFlight,
  openLanes,
  type SinkEndpoint,
  setScene,
  until,
  webhookBody,
} from "./lane-scene.ts";

const commitsPerSecond = 20;
/** The time in which connections are opened. */
const warmUpMs = 1_000;

export type Traffic = {
  /** Endpoints that accept requests and never respond; they have the backlog. */
  hanging: readonly SinkEndpoint[];
  backlog: number;
  /** Endpoints that respond; deliveries to them are measured. */
  others: readonly SinkEndpoint[];
  /** Deliveries to all endpoints together, including hanging ones. */
  perSecond: number;
  /** Together with the warm-up, less than the 15 s after which posts time out. */
  measuredMs: number;
};

/** @returns the times from commit to arrival at the responding endpoints, in milliseconds, while the rest hangs. */
export async function measureTraffic(scene: LaneScene, traffic: Traffic): Promise<number[]> {
  const { sink, queues } = scene;
  const { hanging, others, backlog, perSecond, measuredMs } = traffic;
  sink.hang(hanging.map(({ path }) => path));
  await setScene(scene, hanging, backlog);
  await openLanes(scene);
  await queues.wakeDeliver(lanesOf(hanging));
  const inFlight = maxInFlight * hanging.length;
  await until(`${inFlight} posts hang`, 10_000, () => sink.held() === inFlight);

  await commitSteadily(scene, perSecond, warmUpMs);
  const committed = await commitSteadily(scene, perSecond, measuredMs);
  if (sink.held() < inFlight) throw new Error("Posts that were to hang had ended when it was measured");

  const isOfOthers = new Set(others.map(({ id }) => id));
  const measured = committed.filter(({ delivery }) => isOfOthers.has(delivery.endpoint_id));
  const arrivalOf = ({ delivery }: Committed) => sink.arrivals.get(delivery.event_id);
  await until("all have arrived", 30_000, () => measured.every((one) => arrivalOf(one) !== undefined));
  const latenciesMs = measured.map((one) => (arrivalOf(one) ?? Number.NaN) - one.committedMs);
  await endTurns(scene);
  sink.forget();
  return latenciesMs;
}

/** @property committedMs in terms of `performance.now()`. */
type Committed = { delivery: NewDelivery; committedMs: number };

/** Commits deliveries to all endpoints in turn, and wakes their lanes, as workers do. */
async function commitSteadily(
  { db, queues, endpoints }: LaneScene,
  perSecond: number,
  forMs: number,
): Promise<Committed[]> {
  const all: Committed[] = [];
  const everyMs = 1_000 / commitsPerSecond;
  const startedMs = performance.now();
  for (let commit = 0; commit * everyMs < forMs; commit++) {
    await sleep(Math.max(0, startedMs + commit * everyMs - performance.now()));
    const [from, to] = [commit, commit + 1].map((n) => Math.round((n * perSecond) / commitsPerSecond));
    const owed = inTurn(endpoints, from, to);
    const deliveries = owed.map(newDelivery);
    await db.transaction((tx) => insertDeliveries(tx, deliveries));
    const committedMs = performance.now();
    all.push(...deliveries.map((delivery) => ({ delivery, committedMs })));
    await queues.wakeDeliver(lanesOf(owed));
  }
  return all;
}

/** Repeats the items endlessly. */
function inTurn(endpoints: readonly SinkEndpoint[], from = 0, to = 0): SinkEndpoint[] {
  return Array.from({ length: to - from }, (_, n) => endpoints[(from + n) % endpoints.length] ?? []).flat();
}

function newDelivery({ id }: SinkEndpoint): NewDelivery {
  return {
    project_id: defaultProjectId,
    id: systemClock.newId(),
    endpoint_id: id,
    event_id: systemClock.newId(),
    event_type: "email.open",
    body: webhookBody,
    state: "pending",
    due_at: null,
  };
}
