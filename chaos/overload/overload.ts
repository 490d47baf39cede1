import { seededRandom } from "../../bench/corpus/random.ts";
import { peakWhile } from "../../bench/memory.ts";
import { connectionLimit } from "../../src/descriptors.ts";
import { migrationsDirectory } from "../../src/package-info.ts";
import { createFindings, type Findings } from "../check/findings.ts";
import { openStage, ownBuild, type Stage } from "../stage/stage.ts";
import type { AttackOrder } from "./attacker.ts";
import { attacks } from "./attacks.ts";
import { startBeside } from "./beside.ts";
import type { FloodAnswer, FloodOrder } from "./flood.ts";
import { frozen, frozenForMs } from "./frozen.ts";
import { atPace, type Latencies, latenciesOf, messageMaker, openPoster, type Posted } from "./genuine.ts";

/** What genuine messages met while something else was going on, in a receiver that had just started. */
export type Scene = { name: string; latencies: Latencies; peakMegabytes: number; detail: string };

export type Played = { posted: Posted[]; detail: string };
type Play = { name: string; run: (scenery: Scenery) => Promise<Played> };

/** What a scene works with. @property port the receiver's own, without a relay. */
export type Scenery = {
  stage: Stage;
  port: number;
  make: ReturnType<typeof messageMaker>;
  findings: Findings;
};

/** SNS gives up on an answer after 15 seconds. */
const answeredWithinMs = 15_000;
/** What `docker-compose.yml` gives a receiver. */
const mostMegabytes = 512;
/** Beside an attack nearly everything genuine must be accepted at once; what is not, SNS posts again. */
const leastAcceptedShare = 0.99;
/** Of what it takes when it gets no more than that. A machine that runs the load as well has less left for it. */
const leastShareOfCapacity = 0.2;
const pace = { perSecond: 100, seconds: 12 };

const plays: readonly Play[] = [
  { name: "nothing else", run: calm },
  ...attacks.map(({ name }) => ({ name, run: besides(name) })),
  { name: "three times what it can take", run: flooded },
  { name: `database frozen for ${frozenForMs / 1000} s`, run: frozen },
];

export type OverloadOptions = {
  seed: number;
  /** Only scenes whose names contain this text. */
  only: string;
  onProgress: (line: string) => void;
};

/**
 * Posts more than one receiver can take, attacks its port, and freezes its database, with genuine messages beside.
 * @returns what was measured, and where a limit did not hold.
 */
export async function overload(options: OverloadOptions) {
  const chosen = plays.filter(({ name }) => name.includes(options.only));
  if (chosen.length === 0) throw new Error(`No scene's name contains "${options.only}"`);
  const stage = await openStage({
    queue: "postgres",
    build: ownBuild,
    migrations: migrationsDirectory,
    receivers: 1,
    workers: 1,
    clockShiftMs: 0,
    hasVolume: false,
    postgresPrograms: null,
  });
  try {
    return await measure(stage, chosen, options);
  } finally {
    await stage.close();
  }
}

async function measure(stage: Stage, chosen: readonly Play[], { seed, onProgress }: OverloadOptions) {
  const findings = createFindings();
  const make = messageMaker(stage.signer, seededRandom(seed));
  const scenes: Scene[] = [];
  const posted: Posted[] = [];
  for (const { name, run } of chosen) {
    const { port, pid } = await freshReceiver(stage);
    let played: Played | undefined;
    const peakBytes = await peakWhile(pid, async () => {
      played = await run({ stage, port, make, findings });
    });
    if (played === undefined) throw new Error("unreachable: the scene is over");
    const scene = {
      name,
      detail: played.detail,
      latencies: latenciesOf(played.posted),
      peakMegabytes: Math.round(peakBytes / 1e6),
    };
    onProgress(`${scene.name}: ${JSON.stringify(scene.latencies)}`);
    checkScene(scene, findings);
    scenes.push(scene);
    posted.push(...played.posted);
  }
  await checkJournal(stage, posted, findings);
  return { scenes, findings };
}

/** Restarts it, so that its memory is that of one scene. */
async function freshReceiver({ services }: Stage): Promise<{ port: number; pid: number }> {
  const receiver = services.find(({ role }) => role === "receiver");
  await receiver?.replace();
  const [port, pid] = [receiver?.port(), receiver?.pid()];
  if (typeof port !== "number" || typeof pid !== "number") throw new Error("There is no receiver");
  return { port, pid };
}

async function calm({ port, make }: Scenery): Promise<Played> {
  return { posted: await genuine(port, make), detail: "" };
}

function besides(name: string) {
  return async ({ port, make, findings }: Scenery): Promise<Played> => {
    const order: AttackOrder = { name, port };
    const attack = startBeside<number>("attacker.js", order);
    const posted = await genuine(port, make);
    attack.finish();
    const times = await attack.answer;
    const share = posted.filter(({ status }) => status === 200).length / posted.length;
    if (share < leastAcceptedShare)
      findings.add("conduct", `${name}: only ${share} of genuine messages were accepted`);
    return { posted, detail: `${times} times` };
  };
}

async function genuine(port: number, make: Scenery["make"]): Promise<Posted[]> {
  const poster = openPoster(`http://127.0.0.1:${port}`, 32);
  const posted = await atPace(poster, make(pace.perSecond * pace.seconds), pace.perSecond);
  await poster.close();
  return posted;
}

async function flooded({ stage, port, findings }: Scenery): Promise<Played> {
  // A few are left for the worker's questions and other clients.
  const order: FloodOrder = { signer: stage.signer, port, connections: connectionLimit() - 50 };
  const { answer } = startBeside<FloodAnswer>("flood.js", order);
  const { capacity, perSecond, seconds, unsent, posted } = await answer;
  const accepted = posted.filter(({ status }) => status === 200).length / seconds;
  if (accepted < capacity * leastShareOfCapacity)
    findings.add("conduct", `flood: ${accepted} a second were accepted, and ${capacity} without a flood`);
  const rates = [perSecond, accepted, capacity].map(Math.round);
  const detail = `${rates[0]} a second, of which ${rates[1]} are accepted; ${rates[2]} without a flood; ${unsent} not posted`;
  return { posted, detail };
}

function checkScene({ name, latencies, peakMegabytes }: Scene, findings: Findings): void {
  if (peakMegabytes > mostMegabytes)
    findings.add("conduct", `${name}: the receiver took ${peakMegabytes} MB`);
  if (latencies.slowest > answeredWithinMs)
    findings.add("conduct", `${name}: an answer took ${Math.round(latencies.slowest)} ms`);
}

/** Whatever was answered 200 is there. */
async function checkJournal({ db }: Stage, posted: readonly Posted[], findings: Findings): Promise<void> {
  const rows = await db.query<{ id: string }>("select sns_message_id as id from notifications");
  const stored = new Set(rows.map(({ id }) => id));
  for (const { snsMessageId, status } of posted)
    if (status === 200 && !stored.has(snsMessageId))
      findings.add("lost", `message ${snsMessageId} was answered 200`);
}
