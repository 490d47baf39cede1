import { seededRandom } from "../../bench/corpus/random.ts";
import { peakWhile } from "../../bench/memory.ts";
import { createFindings, type Findings } from "../check/findings.ts";
import { openStage, ownBuild, type Stage } from "../stage/stage.ts";
import { attacks } from "./attacks.ts";
import {
  asFastAsPossible,
  atPace,
  type FreshMessage,
  type Latencies,
  latenciesOf,
  messageMaker,
  openPoster,
  type Posted,
} from "./genuine.ts";

/** What genuine messages met while something else was going on. */
export type Scene = { name: string; latencies: Latencies; peakMegabytes: number; detail: string };

/** SNS gives up on an answer after 15 seconds. */
const answeredWithinMs = 15_000;
const mostMegabytes = 400;
/** Beside an attack nearly everything genuine must be accepted at once; what is not, SNS posts again. */
const leastAcceptedShare = 0.99;
const pace = { perSecond: 100, seconds: 12 };
/** More than may wait for a commit. */
const flood = { messages: 18_000, connections: 6_000 };
/** Each message has a connection of its own, so that none waits for another one's answer. */
const whileFrozen = { messages: 500, perSecond: 50, forMs: 25_000 };

/**
 * Posts more than one receiver can take, attacks its port, and freezes its database, with genuine messages beside.
 * @returns what was measured, and where a limit did not hold.
 */
export async function overload(seed: number, onProgress: (line: string) => void) {
  const stage = await openStage({
    queue: "postgres",
    build: ownBuild,
    receivers: 1,
    workers: 1,
    clockShiftMs: 0,
    hasVolume: false,
  });
  try {
    return await measure(stage, messageMaker(stage.signer, seededRandom(seed)), onProgress);
  } finally {
    await stage.close();
  }
}

type Make = (count: number) => FreshMessage[];

async function measure(stage: Stage, make: Make, onProgress: (line: string) => void) {
  const findings = createFindings();
  const scenes: Scene[] = [];
  const posted: Posted[] = [];
  const note = (one: { scene: Scene; posted: readonly Posted[] }) => {
    scenes.push(one.scene);
    posted.push(...one.posted);
    onProgress(`${one.scene.name}: ${JSON.stringify(one.scene.latencies)}`);
    if (one.scene.peakMegabytes > mostMegabytes)
      findings.add("conduct", `${one.scene.name}: the receiver took ${one.scene.peakMegabytes} MB`);
  };
  note(await beside(stage, make, "nothing else", async () => 0));
  for (const { name, run } of attacks) {
    const one = await beside(stage, make, name, run);
    note(one);
    const share = one.scene.latencies.accepted / one.posted.length;
    if (share < leastAcceptedShare)
      findings.add("conduct", `${name}: only ${share} of genuine messages were accepted`);
  }
  note(await flooded(stage, make));
  note(await frozen(stage, make, findings));
  await checkJournal(stage, posted, findings);
  return { scenes, findings };
}

/** The receiver's own port, without a relay. */
function portOf({ services }: Stage): { port: number; pid: number } {
  const receiver = services.find(({ role }) => role === "receiver");
  const [port, pid] = [receiver?.port(), receiver?.pid()];
  if (typeof port !== "number" || typeof pid !== "number") throw new Error("There is no receiver");
  return { port, pid };
}

async function beside(
  stage: Stage,
  make: Make,
  name: string,
  attack: (port: number, over: AbortSignal) => Promise<number>,
): Promise<{ scene: Scene; posted: Posted[] }> {
  const { port, pid } = portOf(stage);
  const messages = make(pace.perSecond * pace.seconds);
  const poster = openPoster(`http://127.0.0.1:${port}`, 32);
  const over = new AbortController();
  let posted: Posted[] = [];
  const attacking = attack(port, over.signal);
  const peakBytes = await peakWhile(pid, async () => {
    posted = await atPace(poster, messages, pace.perSecond);
  });
  over.abort();
  const times = await attacking;
  await poster.close();
  const detail = times > 0 ? `${times} times` : "";
  return {
    scene: { name, latencies: latenciesOf(posted), peakMegabytes: megabytes(peakBytes), detail },
    posted,
  };
}

async function flooded(stage: Stage, make: Make): Promise<{ scene: Scene; posted: Posted[] }> {
  const { port, pid } = portOf(stage);
  const messages = make(flood.messages);
  const poster = openPoster(`http://127.0.0.1:${port}`, flood.connections);
  let posted: Posted[] = [];
  const startedMs = performance.now();
  const peakBytes = await peakWhile(pid, async () => {
    posted = await asFastAsPossible(poster, messages, flood.connections);
  });
  const seconds = (performance.now() - startedMs) / 1000;
  await poster.close();
  const name = `as much as ${flood.connections} connections carry`;
  const detail = `${Math.round(posted.length / seconds)} answers a second`;
  return {
    scene: { name, latencies: latenciesOf(posted), peakMegabytes: megabytes(peakBytes), detail },
    posted,
  };
}

/** On connections that have been used before the database froze. */
async function frozen(
  stage: Stage,
  make: Make,
  findings: Findings,
): Promise<{ scene: Scene; posted: Posted[] }> {
  const { port, pid } = portOf(stage);
  const poster = openPoster(`http://127.0.0.1:${port}`, whileFrozen.messages);
  const warm = await asFastAsPossible(poster, make(2 * whileFrozen.messages), whileFrozen.messages);
  const messages = make(whileFrozen.messages);
  let posted: Posted[] = [];
  await stage.postgres.freeze();
  const thaw = new Promise<void>((resolve) =>
    setTimeout(() => resolve(stage.postgres.thaw()), whileFrozen.forMs),
  );
  const peakBytes = await peakWhile(pid, async () => {
    posted = await atPace(poster, messages, whileFrozen.perSecond);
  });
  await thaw;
  await poster.close();
  const slowest = Math.max(...posted.map(({ milliseconds }) => milliseconds));
  if (slowest > answeredWithinMs) findings.add("conduct", `frozen database: an answer took ${slowest} ms`);
  const name = `database frozen for ${whileFrozen.forMs / 1000} s`;
  const detail = `slowest answer after ${Math.round(slowest)} ms`;
  return {
    scene: { name, latencies: latenciesOf(posted), peakMegabytes: megabytes(peakBytes), detail },
    posted: [...warm, ...posted],
  };
}

/** Whatever was answered 200 is there. */
async function checkJournal({ db }: Stage, posted: readonly Posted[], findings: Findings): Promise<void> {
  const rows = await db.query<{ id: string }>("select sns_message_id as id from notifications");
  const stored = new Set(rows.map(({ id }) => id));
  for (const { snsMessageId, status } of posted)
    if (status === 200 && !stored.has(snsMessageId))
      findings.add("lost", `message ${snsMessageId} was answered 200`);
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
