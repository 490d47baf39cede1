import { setTimeout as sleep } from "node:timers/promises";
import { asFastAsPossible, atPace, openPoster } from "./genuine.ts";
import type { Played, Scenery } from "./overload.ts";

/** Each message has a connection of its own, so that none waits for another one's answer. */
const messages = 250;
const perSecond = 25;
/** Longer than the last message waits for its answer. */
export const frozenForMs = 25_000;
const backWithinMs = 30_000;

/** Every process of the database is stopped: what asks it gets no answer, not even a refusal. */
export async function frozen({ stage, port, make, findings }: Scenery): Promise<Played> {
  const origin = `http://127.0.0.1:${port}`;
  const [used, fresh] = [openPoster(origin, messages), openPoster(origin, messages)];
  const before = await asFastAsPossible(used, make(2 * messages), messages);
  await stage.postgres.freeze();
  const thawed = sleep(frozenForMs).then(() => stage.postgres.thaw());
  const whileFrozen = await Promise.all(
    [used, fresh].map((poster) => atPace(poster, make(messages), perSecond)),
  );
  await thawed;
  const backMs = performance.now();
  const after = [];
  do {
    after.push(...(await asFastAsPossible(fresh, make(1), 1)));
  } while (after.at(-1)?.status !== 200 && performance.now() - backMs < backWithinMs);
  const seconds = (performance.now() - backMs) / 1000;
  if (after.at(-1)?.status !== 200)
    findings.add("conduct", `nothing was accepted ${seconds} s after the database was back`);
  await used.close();
  await fresh.close();
  const detail = `200s are from before and after; the first after ${seconds.toFixed(1)} s`;
  return { detail, posted: [...before, ...whileFrozen.flat(), ...after] };
}
