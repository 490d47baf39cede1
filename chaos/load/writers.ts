import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Random } from "../../bench/corpus/random.ts";
import type { Api, ApiCall } from "./api.ts";
import type { Sink } from "./sink.ts";

/** A custom event that a client tracks. It is posted with one idempotency key until it is answered. */
type TrackedEvent = {
  key: string;
  orderId: string | null;
  /** The ids it was answered with: one, however often it was posted. */
  eventIds: Set<string>;
};

/** A webhook endpoint that a client adds. @property addedAtMs when the client knew, in milliseconds since 1970. */
export type AddedEndpoint = {
  id: string;
  name: string;
  types: readonly string[];
  addedAtMs: number;
  description: string | null;
  isRemoved: boolean;
};

/** What clients of the API have done, as the answers say. */
export type WrittenLedger = {
  events: TrackedEvent[];
  endpoints: AddedEndpoint[];
  /** Addresses of people that were erased. */
  erased: string[];
  /** Answers that contradict the documentation. */
  wrong: string[];
};

/** Clients of the API at work. */
export type Writers = {
  ledger: WrittenLedger;
  /** Begins nothing new, and resolves when everything has its answer. */
  finish(): Promise<void>;
};

export type WriterTools = {
  api: Api;
  random: Random;
  sink: Sink;
  /** The port of the relay that leads to the sink. */
  sinkPort: number;
  /** Publishes an email to this address, and what happens to it. */
  publishTo(address: string): void;
};

const Tracked = z.object({ event_id: z.uuid(), discarded: z.string().optional() });
const Added = z.object({ data: z.object({ id: z.uuid(), secret: z.string() }) });
const Listed = z.object({ data: z.array(z.unknown()) });

/** So many clients track events at the same time, and confirm the same orders. */
const trackers = 4;
const people = 100;

export async function startWriters(tools: WriterTools): Promise<Writers> {
  const ledger: WrittenLedger = { events: [], endpoints: [], erased: [], wrong: [] };
  const stop = new AbortController();
  const isStopped = () => stop.signal.aborted;
  await addEndpoint(tools, ledger, { name: "all", types: ["*"] });
  await addEndpoint(tools, ledger, { name: "deliveries", types: ["email.delivery"] });
  await addEndpoint(tools, ledger, {
    name: "ordered",
    types: ["email.bounce", "email.complaint"],
    ordered: true,
  });
  const work = [
    ...Array.from({ length: trackers }, () => trackEvents(tools, ledger, isStopped)),
    changeEndpoints(tools, ledger, isStopped),
    erasePeople(tools, ledger, isStopped),
  ];
  return {
    ledger,
    async finish() {
      stop.abort();
      await Promise.all(work);
    },
  };
}

async function trackEvents(tools: WriterTools, ledger: WrittenLedger, isStopped: () => boolean) {
  const { api, random } = tools;
  while (!isStopped()) {
    const { tracked, call } = nextEvent(random);
    ledger.events.push(tracked);
    // Some are sent a second time, as if the client had not heard the answer.
    const calls = random.below(10) === 0 ? [call, call] : [call];
    for (const one of calls) {
      const answer = await api.until(one);
      if (answer?.status === 201) tracked.eventIds.add(Tracked.parse(answer.body).event_id);
      else if (answer !== null) ledger.wrong.push(`POST /v1/events was answered ${answer.status}`);
    }
    await sleep(100 + random.below(400));
  }
}

const names = ["viewitem", "addtocart", "login"] as const;

function nextEvent(random: Random): { tracked: TrackedEvent; call: ApiCall } {
  const key = random.uuid();
  // Clients that confirm an order at about the same time.
  const orderId = random.below(3) === 0 ? `order-${Math.floor(Date.now() / 2_000)}` : null;
  const event = orderId === null ? random.pick(names) : "confirmation";
  const properties = { key, ...(orderId !== null && { orderId }) };
  const email = `reader.${random.below(people)}@example.com`;
  const call = {
    method: "POST",
    path: "/v1/events",
    body: { email, event, properties },
    idempotencyKey: key,
  } as const;
  return { tracked: { key, orderId, eventIds: new Set() }, call };
}

type NewEndpoint = { name: string; types: readonly string[]; ordered?: boolean };

/** Once: an answer that is lost leaves an endpoint behind that the client does not know of. */
async function addEndpoint(
  { api, sink, sinkPort }: WriterTools,
  ledger: WrittenLedger,
  { name, types, ordered = false }: NewEndpoint,
): Promise<AddedEndpoint | null> {
  const body = { url: `http://127.0.0.1:${sinkPort}/${name}`, events: types, ordered };
  const answer = await api.once({ method: "POST", path: "/v1/webhooks", body });
  if (answer?.status !== 201) return null;
  const { id, secret } = Added.parse(answer.body).data;
  sink.expect(name, secret);
  const added = { id, name, types, addedAtMs: Date.now(), description: null, isRemoved: false };
  ledger.endpoints.push(added);
  return added;
}

const changeEveryMs = 15_000;

/** Adds endpoints, describes them, and removes every other one. */
async function changeEndpoints(tools: WriterTools, ledger: WrittenLedger, isStopped: () => boolean) {
  for (let number = 1; !isStopped(); number++) {
    await sleepUnless(isStopped, changeEveryMs);
    const added = await addEndpoint(tools, ledger, { name: `added-${number}`, types: ["email.bounce"] });
    if (added === null) continue;
    const path = `/v1/webhooks/${added.id}`;
    const description = `Number ${number}`;
    const changed = await tools.api.until({ method: "PATCH", path, body: { description } });
    if (changed?.status === 200) added.description = description;
    else if (changed !== null) ledger.wrong.push(`PATCH of an endpoint was answered ${changed.status}`);
    if (number % 2 === 0) continue;
    const removed = await tools.api.until({ method: "DELETE", path });
    // 404: an answer before was lost.
    if (removed?.status === 200 || removed?.status === 404) added.isRemoved = true;
    else if (removed !== null) ledger.wrong.push(`DELETE of an endpoint was answered ${removed.status}`);
  }
}

const eraseEveryMs = 12_000;
/** Addresses of people who may be erased begin so, and no others. */
export const erasablePrefix = "person.";

/** Writes to a person, waits until that is known, and erases the person while more arrives. */
async function erasePeople(
  { api, publishTo, random }: WriterTools,
  ledger: WrittenLedger,
  isStopped: () => boolean,
) {
  for (let number = 1; !isStopped(); number++) {
    const address = `${erasablePrefix}${number}.${random.hex(6)}@example.com`;
    publishTo(address);
    await sleepUnless(isStopped, eraseEveryMs);
    const path = encodeURIComponent(address);
    const known = await api.until({ method: "GET", path: `/v1/activity?email=${path}` });
    // Nothing has been applied yet. What comes later is about somebody whom nobody has erased.
    if (known?.status !== 200 || Listed.parse(known.body).data.length === 0) continue;
    const answer = await api.until({ method: "DELETE", path: `/v1/recipients/${path}` });
    // 404: an answer before was lost.
    if (answer?.status === 200 || answer?.status === 404) ledger.erased.push(address);
    else if (answer !== null) ledger.wrong.push(`DELETE of a person was answered ${answer.status}`);
  }
}

async function sleepUnless(isStopped: () => boolean, milliseconds: number): Promise<void> {
  const untilMs = performance.now() + milliseconds;
  while (!isStopped() && performance.now() < untilMs) await sleep(200);
}
