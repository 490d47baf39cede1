import { blockOf, notificationsInBlock, type Unpublished } from "./emails.ts";
import { messageOf } from "./payloads.ts";
import { type Random, seededRandom } from "./random.ts";
import { type Envelope, type Signer, signAll } from "./sign.ts";

export { notificationsInBlock };

/** A signed notification as SNS posts it. */
export type Notification = Unpublished & {
  /** A smaller corpus consists of the first blocks. */
  block: number;
  snsMessageId: string;
  publishedAtMs: number;
  body: string;
};

/** In order of arrival, repeats included. */
export type Corpus = readonly Notification[];

/** A notification may be published, or arrive, a second time: so many of each hundred in each way. */
const repeatedPercent = 1;
/** So many of each hundred arrive minutes later, because SNS tried again. */
const latePercent = 2;
const publishingMs = 400;
const minuteMs = 60_000;

/**
 * The real mix of notifications, in order of arrival: some twice, some late. The same seed and start make the same.
 * @param signer null: the signatures are invented, for a journal that is filled without a receiver.
 * @param notifications without repeats; a multiple of a hundred.
 */
export async function makeCorpus(
  signer: Signer | null,
  { notifications, seed, startMs }: { notifications: number; seed: number; startMs: number },
): Promise<Corpus> {
  const random = seededRandom(seed);
  const blocks = Array.from({ length: Math.ceil(notifications / notificationsInBlock) }, (_, block) => block);
  const published = blocks.flatMap((block) =>
    blockOf(block, startMs, random).flatMap((one) => publish(one, block, random)),
  );
  const bodies = await signAll(
    signer,
    published.map(({ envelope }) => envelope),
  );
  return published
    .flatMap(({ arrivals, envelope, ...one }, place) => {
      const { snsMessageId, publishedAtMs } = envelope;
      const notification = { ...one, snsMessageId, publishedAtMs, body: bodies[place] ?? "" };
      return arrivals.map((arrivalMs) => ({ arrivalMs, notification }));
    })
    .toSorted((one, other) => one.arrivalMs - other.arrivalMs)
    .map(({ notification }) => notification);
}

/** The part of a corpus with so many blocks. */
export function partOf(corpus: Corpus, notifications: number): Corpus {
  const blocks = Math.ceil(notifications / notificationsInBlock);
  return corpus.filter(({ block }) => block < blocks);
}

type Published = Unpublished & { block: number; envelope: Envelope; arrivals: number[] };

function publish({ email, happening }: Unpublished, block: number, random: Random): Published[] {
  const happenedAtMs = happening.kind === "Send" ? email.sentAtMs : happening.atMs;
  const times = isOneOf(random, repeatedPercent) ? [0, 3_000 + random.below(10_000)] : [0];
  const message = messageOf(email, happening);
  return times.map((laterMs) => {
    const publishedAtMs = happenedAtMs + laterMs + random.below(publishingMs);
    const snsMessageId = random.uuid();
    const version = random.below(10) === 0 ? "2" : "1";
    const envelope: Envelope = { snsMessageId, publishedAtMs, message, version };
    return { email, happening, block, envelope, arrivals: arrivalsOf(publishedAtMs, random) };
  });
}

function arrivalsOf(publishedAtMs: number, random: Random): number[] {
  const lateMs = isOneOf(random, latePercent)
    ? 5 * minuteMs + random.below(15 * minuteMs)
    : random.below(100);
  const first = publishedAtMs + lateMs;
  return isOneOf(random, repeatedPercent) ? [first, first + 1_000 + random.below(20_000)] : [first];
}

function isOneOf(random: Random, percent: number): boolean {
  return random.next() * 100 < percent;
}
