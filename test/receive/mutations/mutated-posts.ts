import fc from "fast-check";
import type { Random } from "../../../bench/corpus/random.ts";
import { mutatedPayload } from "../../domain/mail/mutated-payloads.ts";
import { type Fields, testTopic } from "../../support/sns-signer.ts";
import { fieldMutations } from "./field-mutations.ts";
import { combinedEffect, type Effect, pickFrom, pickMutation } from "./mutation.ts";
import { reSplit } from "./re-splits.ts";
import { requestMutations, requestOf } from "./request-mutations.ts";
import { type Signers, signatureMutations } from "./signature-mutations.ts";
import { type SignedMessages, signedMessages, withFreshIds } from "./signed-messages.ts";
import { layouts, sizeMutations, textMutations } from "./text-mutations.ts";
import type { WireRequest } from "./wire.ts";

/** A post to the receiver. */
export type MutatedPost = {
  /** Its mutations. */
  names: string[];
  effect: Effect;
  /** What the envelope says, whole or not; of a raw delivery, the message. */
  body: string;
  isRaw: boolean;
  request: WireRequest;
};

export type MutatedPosts = {
  next(): MutatedPost;
  wasSigned: SignedMessages["wasSigned"];
};

type Draft = { names: string[]; effects: Effect[]; fields: Fields };

/** Genuine messages that are at hand for mutations that need no signature of their own. */
const poolSize = 60;
/** How many posts a pool is used for: signing takes longer than all else. */
const poolLasts = 1_000;

/** The names that posts may have; without those of the rare large ones, unless all are asked for. */
export function mutationNames(which: "usual" | "all"): string[] {
  const texts = which === "all" ? { ...textMutations, ...sizeMutations } : textMutations;
  const prefixed = (prefix: string, mutations: object) =>
    Object.keys(mutations).map((name) => `${prefix} ${name}`);
  return [
    ...["mutated payload", "re-split"],
    ...prefixed("field", fieldMutations),
    ...prefixed("signature", signatureMutations),
    ...prefixed("text", texts),
    ...prefixed("request", requestMutations),
    ...["none", "token", "topic", "id", "bytes"].map((odd) => `raw SNS ${odd}`),
    "raw EventBridge none",
  ];
}

export function mutatedPosts(signers: Signers, rawToken: string, random: Random): MutatedPosts {
  const messages = signedMessages(signers.ours);
  const payloads = payloadSource(random);
  let pool: Fields[] = [];
  let made = 0;
  const fromPool = () => ({ ...pickFrom(pool, random) });

  /** Shares in a hundred; the others are raw. */
  const drafts: [share: number, make: () => Draft][] = [
    [
      35,
      () => ({ names: ["mutated payload"], effects: [], fields: messages.notification(payloads(), random) }),
    ],
    [22, () => withFields(fromPool(), random)],
    [11, () => withSignature(fromPool(), fromPool(), random, signers)],
    [7, () => withReSplit(messages, signers, random)],
    [18, () => ({ names: [], effects: [], fields: fromPool() })],
  ];

  return {
    wasSigned: messages.wasSigned,
    next() {
      if (made++ % poolLasts === 0) pool = Array.from({ length: poolSize }, () => messages.any(random));
      const make = pickByShare(drafts, random.below(100));
      return make ? envelopePost(make(), random) : rawPost(payloads(), rawToken, random);
    },
  };
}

/** Samples many at a time, which is several times as fast. */
function payloadSource(random: Random): () => string {
  let payloads: string[] = [];
  return () => {
    if (payloads.length === 0)
      payloads = fc.sample(mutatedPayload, { numRuns: 500, seed: random.below(2 ** 31) });
    const payload = withFreshIds(payloads.pop() ?? "", random);
    return random.below(8) === 0 ? payload : `${payload}\n`;
  };
}

function pickByShare<Item>(
  items: readonly (readonly [share: number, item: Item])[],
  place: number,
): Item | undefined {
  let end = 0;
  return items.find(([share]) => {
    end += share;
    return place < end;
  })?.[1];
}

function withFields(fields: Fields, random: Random): Draft {
  const [name, mutate] = pickMutation(fieldMutations, random);
  const first = mutate(fields, random);
  const isAgain = random.below(4) === 0 && Object.keys(fields).length > 0;
  const second = isAgain ? pickMutation(fieldMutations, random)[1](fields, random) : "harmless";
  // The second may undo the first, as when a name is changed back.
  return { names: [`field ${name}`], effects: [second === "harmless" ? first : "open"], fields };
}

function withSignature(fields: Fields, other: Fields, random: Random, signers: Signers): Draft {
  const [name, mutate] = pickMutation(signatureMutations, random);
  return { names: [`signature ${name}`], effects: [mutate(fields, random, signers, other)], fields };
}

function withReSplit(messages: SignedMessages, { ours }: Signers, random: Random): Draft {
  const fields = reSplit(messages, ours, random);
  const isGenuine = messages.wasSigned(fields) && !String(fields["Subject"]).includes("\n");
  return { names: ["re-split"], effects: [isGenuine ? "harmless" : "fatal"], fields };
}

const maxBodyBytes = 1024 * 1024;

/** Writes a draft, and mutates the text and the request of most that have no mutation yet, and of some others. */
function envelopePost({ names, effects, fields }: Draft, random: Random): MutatedPost {
  const share = names.length === 0 ? 60 : 15;
  const [, layout] = pickMutation(layouts, random);
  let text: string | Buffer = layout(fields, random);
  if (random.below(100) < share) {
    const [name, mutate] = pickMutation(random.below(150) === 0 ? sizeMutations : textMutations, random);
    const [mutated, effect] = mutate(text, random);
    text = mutated;
    names.push(`text ${name}`);
    effects.push(effect);
  }
  const body = typeof text === "string" ? Buffer.from(text) : text;
  // Deep nesting is long where it is indented.
  if (body.length > maxBodyBytes) effects.push("fatal");
  const request = requestOf(body);
  if (random.below(100) < share) {
    const [name, mutate] = pickMutation(requestMutations, random);
    effects.push(mutate(request, random));
    names.push(`request ${name}`);
  }
  return { names, effect: combinedEffect(effects), body: body.toString("utf8"), isRaw: false, request };
}

/** What SNS posts with raw message delivery, or EventBridge: nothing in it is signed, but the path holds the token. */
function rawPost(payload: string, token: string, random: Random): MutatedPost {
  const isBridge = random.below(3) === 0;
  const headers = [
    "x-amz-sns-rawdelivery: true",
    `x-amz-sns-message-id: ${random.uuid()}`,
    `x-amz-sns-topic-arn: ${testTopic}`,
  ];
  const odd = pickFrom(["none", "none", "none", "token", "topic", "id", "bytes"], random);
  if (odd === "topic") headers[2] = "x-amz-sns-topic-arn: arn:aws:sns:eu-west-1:666666666666:evil";
  if (odd === "id") headers[1] = "x-amz-sns-message-id: 1";
  const bytes = Buffer.concat([Buffer.from(payload), Buffer.from(odd === "bytes" ? [0xff] : [])]);
  const target = `/ingest/sns/raw/${odd === "token" ? `${token}x` : token}`;
  const isFatal = isBridge ? odd === "token" || odd === "bytes" : odd !== "none";
  // A payload of another form is taken for an SNS message.
  const effect = isFatal ? "fatal" : isBridge ? "open" : "harmless";
  const names = [`raw ${isBridge ? "EventBridge" : "SNS"} ${odd}`];
  return {
    names,
    effect,
    body: payload,
    isRaw: true,
    request: requestOf(bytes, target, isBridge ? [] : headers),
  };
}
