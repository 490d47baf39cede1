import { pause } from "../src/clock.ts";
import type { Context } from "../src/context.ts";
import { laneAfter, reasonToDisable, turnSize } from "../src/domain/webhooks/lane-state.ts";
import type { Lane } from "../src/domain/webhooks/owed.ts";
import { afterTaking, allowedNow, msUntilAllowed } from "../src/domain/webhooks/rate-allowance.ts";
import { errorText } from "../src/logger.ts";
import type { Database } from "../src/storage/database.ts";
import { retryConflicts } from "../src/storage/database-errors.ts";
import {
  lockLane,
  pauseLane,
  type TurningEndpoint,
  writeAllowance,
  writeLane,
} from "../src/storage/webhooks/lanes.ts";
import {
  type FinishedDelivery,
  finishLease,
  type LeasedDelivery,
  leaseDue,
} from "../src/storage/webhooks/leases.ts";
import { disableFailedEndpoint, reportDisabled } from "../src/webhooks/endpoints.ts";
import { wakeLanes } from "../src/webhooks/owe-deliveries.ts";
import { attemptTimeoutMs } from "../src/webhooks/post.ts";
import { type EndpointSecrets, openEndpointSecrets } from "../src/webhooks/secret-box.ts";
import type { Places } from "../src/webhooks/socket-room.ts";
import {
  inOrder,
  inOrderMs,
  type PostedDelivery,
  type PostingContext,
  postDelivery,
  released,
  sideBySide,
} from "./post-deliveries.ts";

type LaneContext = PostingContext & Pick<Context, "db" | "queues" | "secretBox">;

/** A wake-up costs more than a few posts, so a turn lasts this long before it makes way for other lanes. */
const turnMs = 1_000;
/** The longest that a turn itself waits for the endpoint's rate; the sweep wakes lanes that must wait longer. */
const longestWaitMs = 1_000;
/** Outlasts the last attempt of a turn and the writing of its outcome, so nothing else posts the same meanwhile. */
const leaseSeconds = (inOrderMs + attemptTimeoutMs) / 1000 + 5;
/** How long a lane rests when no delivery of a turn could be posted: those behind them may fare no better. */
const restSeconds = { some: 5, all: 30 };

/** What was taken for the end of a turn may take this much longer than the turn before the rest of it is given back. */
const overtimeMs = 1_000;
/** How many times as much as may be in flight a healthy endpoint's turn takes at once, at most. */
const mostRounds = 25;

/** How much of a lane's turn is over. */
type Turn = {
  endMs: number;
  /** How many times as much as may be in flight is taken next. What is taken together shares the cost of the statements. */
  rounds: number;
};

/**
 * One turn of an endpoint's lane: takes what is due, posts it, writes all outcomes, and repeats that for a second. Then
 * the lane is woken again if more may be due, behind the others that wait. So endpoints take turns, and a slow one waits
 * alone. At first it takes at most as much as may be in flight, then as much as it can post in the rest of the turn.
 * @param stopping aborts the posts when the process ends.
 */
export async function deliverLane(context: LaneContext, key: Lane, stopping: AbortSignal): Promise<void> {
  const turn = { endMs: performance.now() + turnMs, rounds: 1 };
  while (await postDue(context, key, turn, stopping)) {
    if (stopping.aborted) return;
    if (performance.now() < turn.endMs) continue;
    await context.queues.wakeDeliver([key]);
    return;
  }
}

/** @returns whether more is likely to be due now. */
async function postDue(context: LaneContext, key: Lane, turn: Turn, stopping: AbortSignal): Promise<boolean> {
  const places = await context.webhookConnections.room.take(stopping);
  if (places === null) return false;
  try {
    const taken = await takeDue(context, key, places, turn.rounds);
    if ("waitMs" in taken) {
      if (taken.waitMs === 0 || taken.waitMs > longestWaitMs) return false;
      places.keep(0);
      await pause(taken.waitMs, stopping);
      return true;
    }
    return await postPortions(context, taken, { turn, places, stopping });
  } finally {
    places.keep(0);
  }
}

type Posting = { turn: Turn; places: Places; stopping: AbortSignal };

/** Posts what was taken, and what is taken with the outcomes of that. @returns whether more is likely to be due now. */
async function postPortions(
  context: LaneContext,
  first: TakenDeliveries,
  posting: Posting,
): Promise<boolean> {
  let taken = first;
  while (true) {
    const secrets = await openedSecrets(context, taken);
    if (secrets === null) return false;
    const posted = await postTaken(context, taken, secrets, posting);
    const finished = await finish(context, taken, posted, posting);
    if (finished.next === null) return finished.isMoreDue;
    taken = finished.next;
  }
}

/** Posts what was taken, and decides how much is taken next. */
async function postTaken(
  context: LaneContext,
  { endpoint, size, due }: TakenDeliveries,
  secrets: EndpointSecrets,
  { turn, places, stopping }: Posting,
): Promise<PostedDelivery[]> {
  const target = { ...endpoint, ...secrets };
  const post = (delivery: LeasedDelivery) => postDelivery(context, target, delivery, stopping);
  places.keep(endpoint.ordered ? 1 : Math.min(size, due.length));
  const startedMs = performance.now();
  const posted = endpoint.ordered
    ? await inOrder(due, post)
    : await sideBySide(due, { size, endMs: turn.endMs + overtimeMs, places, post });
  const nowMs = performance.now();
  const perRoundMs = (nowMs - startedMs) / Math.ceil(due.length / size);
  turn.rounds = Math.floor(Math.min(mostRounds, Math.max(1, (turn.endMs - nowMs) / perRoundMs)));
  return posted;
}

/** An endpoint, and leased deliveries to it. */
type TakenDeliveries = {
  endpoint: TurningEndpoint;
  leaseId: string;
  /** How many may be in flight. */
  size: number;
  /** How many would have been taken. */
  limit: number;
  due: LeasedDelivery[];
};

/** How long to wait because there is nothing to post now; 0: until woken. */
type Wait = { waitMs: number };

async function takeDue(
  context: LaneContext,
  key: Lane,
  places: Places,
  rounds: number,
): Promise<TakenDeliveries | Wait> {
  return context.db.transaction(async (tx) => {
    const endpoint = await lockLane(tx, key);
    return endpoint === null ? { waitMs: 0 } : takeFrom(context, tx, endpoint, places, rounds);
  });
}

/** @param endpoint whose lane is locked. */
async function takeFrom(
  { clock }: LaneContext,
  tx: Database,
  endpoint: TurningEndpoint,
  places: Places,
  rounds: number,
): Promise<TakenDeliveries | Wait> {
  if (endpoint.state !== "enabled") return { waitMs: 0 };
  const { allowance, rate_per_second: rate, now } = endpoint;
  const size = placesFor(endpoint, places);
  if (size === 0) return { waitMs: 0 };
  const limit =
    rate === null ? size * roundsFor(endpoint, rounds) : Math.min(size, allowedNow(allowance, rate, now));
  if (rate !== null && limit <= 0) return { waitMs: msUntilAllowed(allowance, rate, now) };
  const lease = { id: clock.newId(), seconds: leaseSeconds, limit };
  const due = await leaseDue(tx, endpoint, lease);
  if (due.length === 0) return { waitMs: 0 };
  if (rate !== null) await writeAllowance(tx, endpoint, afterTaking(allowance, rate, due.length, now));
  return { endpoint, leaseId: lease.id, size, limit, due };
}

/** What an endpoint with difficulties gets is decided anew after each answer. */
function roundsFor({ lane }: TurningEndpoint, rounds: number): number {
  return lane.breaker_openings > 0 || lane.slowdowns > 0 ? 1 : rounds;
}

/** The deliveries of an ordered lane need one place: they are posted one after the other. */
function placesFor({ ordered, lane, max_in_flight, now }: TurningEndpoint, places: Places): number {
  const size = turnSize(lane, max_in_flight, now);
  return size === 0 || ordered ? size : places.grow(size);
}

/** Secrets that cannot be decrypted are not the endpoint's failure: no attempt is used up, and the lane rests. */
async function openedSecrets(
  { db, secretBox, log, metrics }: LaneContext,
  { endpoint, leaseId, due }: TakenDeliveries,
): Promise<EndpointSecrets | null> {
  try {
    return openEndpointSecrets(secretBox, endpoint);
  } catch (error) {
    metrics.countAttempts("our_fault", due.length);
    log.error({ endpoint_id: endpoint.id, cause: errorText(error) }, "secrets of a webhook endpoint");
    await finishLease(db, endpoint, leaseId, due.map(released));
    await pauseLane(db, endpoint, restSeconds.all);
    return null;
  }
}

/** @property next what was taken with the outcomes; null: nothing. */
type Finished = { isMoreDue: boolean; next: TakenDeliveries | null };

/** Writes all outcomes of what was taken, and takes more if nothing stands in the way. */
async function finish(
  context: LaneContext,
  taken: TakenDeliveries,
  posted: readonly PostedDelivery[],
  posting: Posting,
): Promise<Finished> {
  const { endpoint, limit, due } = taken;
  const { disabled, next } = await retryConflicts(() =>
    context.db.transaction((tx) => writeOutcomes(context, tx, taken, posted, posting)),
  );
  if (disabled !== null) {
    reportDisabled(context, endpoint.id, disabled.reason);
    await wakeLanes(context, disabled.lanes);
  }
  if (next !== null) return { isMoreDue: true, next };
  const ourFaults = posted.filter(({ isOurFault }) => isOurFault).length;
  const made = posted.filter(({ made }) => made !== null).length;
  if ((ourFaults > 0 && made === 0) || (endpoint.ordered && ourFaults > 0)) {
    // No attempt was used up, but trying again at once would fail again.
    await pauseLane(context.db, endpoint, endpoint.ordered ? restSeconds.all : restSeconds.some);
    return { isMoreDue: false, next };
  }
  const isReleased = posted.some(({ made, isOurFault }) => made === null && !isOurFault);
  return { isMoreDue: due.length === limit || isReleased, next };
}

/** @returns why the endpoint was disabled, with the lanes to wake for that, or null; and what was taken. */
async function writeOutcomes(
  context: LaneContext,
  tx: Database,
  taken: TakenDeliveries,
  posted: readonly PostedDelivery[],
  posting: Posting,
) {
  const { project_id, id, ordered } = taken.endpoint;
  // As it is now: it may have been changed while posts were under way.
  const current = await lockLane(tx, { projectId: project_id, endpointId: id });
  await finishLease(tx, { project_id, ordered }, taken.leaseId, posted);
  const attempts = posted.flatMap(({ made }) => (made ? [made] : []));
  if (current === null || attempts.length === 0) return { disabled: null, next: null };
  const holdMs = ordered ? Math.max(0, ...posted.map(({ outcome }) => delayOf(outcome))) : 0;
  const lane = laneAfter(current.lane, attempts, current.now, holdMs);
  await writeLane(tx, current, lane);
  const reason = reasonToDisable(lane, attempts, current.now);
  if (reason === null) {
    const next = await takeNext(context, tx, { ...taken, endpoint: { ...current, lane } }, posted, posting);
    return { disabled: null, next };
  }
  const lanes = await disableFailedEndpoint(tx, context.clock, current, reason, lane.failing_since);
  return { disabled: lanes && { reason, lanes }, next: null };
}

/**
 * Takes the next portion in the transaction that writes the outcomes of the one before, because commits and statements are
 * what a portion costs.
 * @param taken the portion before, with its endpoint as it is now.
 * @returns null if something failed, if nothing is due, or if the turn is over.
 */
async function takeNext(
  context: LaneContext,
  tx: Database,
  { endpoint, due, limit }: TakenDeliveries,
  posted: readonly PostedDelivery[],
  { turn, places, stopping }: Posting,
): Promise<TakenDeliveries | null> {
  if (stopping.aborted || performance.now() >= turn.endMs) return null;
  if (due.length < limit || posted.some(({ outcome }) => outcome.state !== "succeeded")) return null;
  const next = await takeFrom(context, tx, endpoint, places, turn.rounds);
  return "due" in next ? next : null;
}

function delayOf(outcome: FinishedDelivery["outcome"]): number {
  return outcome.state === "retrying" ? outcome.delayMs : 0;
}
