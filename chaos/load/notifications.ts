import { Agent, request } from "undici";
import { type Email, type Happening, messageOf } from "../../bench/corpus/payloads.ts";
import type { Random } from "../../bench/corpus/random.ts";
import { type Signer, signing } from "../../bench/corpus/sign.ts";
import { createAgenda } from "./agenda.ts";
import { nextStory } from "./stories.ts";

/** What SNS knows about a message that it posts. */
export type PostedMessage = {
  snsMessageId: string;
  email: Email;
  happening: Happening;
  /** When a receiver first answered 200, in milliseconds since 1970; null: none has. */
  acceptedAtMs: number | null;
  /** Nobody posts it again, so it may be missing. */
  isAbandoned: boolean;
  posts: number;
};

/** Posts notifications as SNS does, and writes down every answer. */
export type NotificationLoad = {
  messages: ReadonlyMap<string, PostedMessage>;
  answers: Answers;
  /** Publishes an email to this address, and what happens to it. */
  publishTo(address: string): void;
  /** No new messages from now on; those that nobody has accepted are still posted. */
  finish(): void;
  /** Messages that are still to be accepted. */
  open(): number;
  close(): Promise<void>;
};

/** @property wrong answers that SNS must never get for a genuine message: anything but 200 and 503. */
export type Answers = {
  accepted: number;
  unavailable: number;
  noAnswer: number;
  wrong: string[];
  /** The longest time in which posts failed and none was answered 200. */
  longestOutageMs: number;
};

export type NotificationLoadOptions = {
  random: Random;
  signer: Signer;
  /** Of the receivers' relays. */
  ports: readonly number[];
  perSecond: number;
};

/** SNS gives up after 15 seconds. */
const answerWithinMs = 15_000;
const tickMs = 20;
/** SNS waits 20 seconds before it tries again. */
const againAfterMs = { least: 800, spread: 1_500 };
const mostInFlight = 256;
const longestArrearsSeconds = 0.1;

export function loadNotifications(options: NotificationLoadOptions): NotificationLoad {
  const { random, perSecond } = options;
  const messages = new Map<string, PostedMessage>();
  const answers: Answers = { accepted: 0, unavailable: 0, noAnswer: 0, wrong: [], longestOutageMs: 0 };
  const agenda = createAgenda<Letter>();
  const post = createPosting(options, agenda, answers);
  const state = { isFinished: false, stories: 0, owed: 0, lastMs: performance.now(), inFlight: 0 };
  const publish = publishing(options, messages, agenda);

  const timer = setInterval(() => {
    const nowMs = performance.now();
    const owed = state.owed + ((nowMs - state.lastMs) / 1000) * perSecond;
    // A machine that cannot keep up publishes less.
    state.owed = state.isFinished ? 0 : Math.min(owed, perSecond * longestArrearsSeconds);
    state.lastMs = nowMs;
    while (state.owed >= 1) {
      const story = nextStory(state.stories++, random);
      for (const happening of story.happenings) state.owed -= publish(story.email, happening);
    }
    for (const letter of agenda.take(nowMs, mostInFlight - state.inFlight)) {
      state.inFlight++;
      void post(letter).finally(() => state.inFlight--);
    }
  }, tickMs);
  return {
    messages,
    answers,
    publishTo(address) {
      const { email, happenings } = nextStory(state.stories++, random);
      for (const happening of happenings) publish(...addressedTo(address, email, happening));
    },
    finish() {
      state.isFinished = true;
    },
    open: () => agenda.size() + state.inFlight,
    async close() {
      clearInterval(timer);
      await post.close();
    },
  };
}

/** The same for a single recipient. */
function addressedTo(address: string, email: Email, happening: Happening): [Email, Happening] {
  const to = { ...email, recipients: [address] as const };
  if (happening.kind === "Delivery") return [to, { ...happening, recipients: [address] }];
  if (happening.kind === "Bounce" || happening.kind === "Complaint")
    return [to, { ...happening, recipient: address }];
  return [to, happening];
}

/** One of a message's posts. @property isRepeat whether it is posted although it was accepted. */
type Letter = { message: PostedMessage; body: string; isRepeat: boolean };
type Agenda = ReturnType<typeof createAgenda<Letter>>;

/** Of a hundred messages. */
const percent = { publishedTwice: 2, postedTwice: 3, postedLater: 2, abandoned: 3, atOnce: 50, late: 3 };

/** Publishes what happened, once or twice. @returns how many messages that are. */
function publishing(
  { random, signer }: NotificationLoadOptions,
  messages: Map<string, PostedMessage>,
  agenda: Agenda,
) {
  const sign = signing(signer);
  const is = (share: number) => random.next() * 100 < share;
  const publishOnce = (email: Email, happening: Happening) => {
    const snsMessageId = random.uuid();
    const happenedAtMs = happening.kind === "Send" ? email.sentAtMs : happening.atMs;
    const version = random.below(10) === 0 ? "2" : "1";
    const message = messageOf(email, happening);
    const publishedAtMs = happenedAtMs + random.below(400);
    const body = sign({ snsMessageId, publishedAtMs, message, version });
    const posted = {
      snsMessageId,
      email,
      happening,
      acceptedAtMs: null,
      posts: 0,
      isAbandoned: is(percent.abandoned),
    };
    messages.set(snsMessageId, posted);
    const dueMs = performance.now() + arrivalAfterMs(random, is);
    agenda.add(dueMs, { message: posted, body, isRepeat: false });
    if (is(percent.postedTwice)) agenda.add(dueMs, { message: posted, body, isRepeat: true });
    if (is(percent.postedLater))
      agenda.add(dueMs + random.below(15_000), { message: posted, body, isRepeat: true });
  };
  return (email: Email, happening: Happening): number => {
    const times = is(percent.publishedTwice) ? 2 : 1;
    for (let time = 0; time < times; time++) publishOnce(email, happening);
    return times;
  };
}

/** Half of them come at once, so that what concerns one email meets in several receivers and workers. */
function arrivalAfterMs(random: Random, is: (share: number) => boolean): number {
  if (is(percent.atOnce)) return random.below(30);
  return random.below(is(percent.late) ? 30_000 : 4_000);
}

type Posting = ((letter: Letter) => Promise<void>) & { close(): Promise<void> };

function createPosting(
  { random, ports }: NotificationLoadOptions,
  agenda: Agenda,
  answers: Answers,
): Posting {
  const dispatcher = new Agent({
    connections: mostInFlight,
    pipelining: 1,
    headersTimeout: answerWithinMs,
    bodyTimeout: answerWithinMs,
    connect: { timeout: 3_000 },
  });
  let lastAcceptedMs = performance.now();
  let failingSinceMs: number | null = null;
  const accepted = ({ message }: Letter) => {
    message.acceptedAtMs ??= Date.now();
    answers.accepted++;
    lastAcceptedMs = performance.now();
    const failedForMs = lastAcceptedMs - (failingSinceMs ?? lastAcceptedMs);
    answers.longestOutageMs = Math.max(answers.longestOutageMs, failedForMs);
    failingSinceMs = null;
  };
  const again = (letter: Letter) => {
    if (letter.message.isAbandoned || letter.isRepeat) return;
    const afterMs = againAfterMs.least + random.below(againAfterMs.spread);
    agenda.add(performance.now() + afterMs, letter);
  };
  const post = async (letter: Letter) => {
    const { message, body } = letter;
    message.posts++;
    const port = ports[random.below(ports.length)] ?? 0;
    const postedMs = performance.now();
    const status = await statusOf(`http://127.0.0.1:${port}/ingest/sns`, body, dispatcher);
    if (status === 200) return accepted(letter);
    failingSinceMs ??= Math.max(postedMs, lastAcceptedMs);
    if (status === null) answers.noAnswer++;
    else if (status === 503) answers.unavailable++;
    else answers.wrong.push(`${message.happening.kind} ${message.snsMessageId} was answered ${status}`);
    again(letter);
  };
  return Object.assign(post, { close: () => dispatcher.destroy() });
}

/** @returns null without an answer. */
async function statusOf(url: string, body: string, dispatcher: Agent): Promise<number | null> {
  const headers = { "content-type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification" };
  try {
    const answer = await request(url, { method: "POST", headers, body, dispatcher });
    await answer.body.dump();
    return answer.statusCode;
  } catch {
    return null;
  }
}
