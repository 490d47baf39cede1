import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Random } from "../../bench/corpus/random.ts";

/** Calls the API as a client does that does not give up. */
export type Api = {
  /** @returns null without an answer. */
  once(call: ApiCall): Promise<ApiAnswer | null>;
  /** Calls again until it is answered, and not with 503, 429 or 500. @returns null once the load has ended. */
  until(call: ApiCall): Promise<ApiAnswer | null>;
  /** Answers that no client should get: 500s. */
  wrong: readonly string[];
  close(): Promise<void>;
};

export type ApiCall = {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  body?: unknown;
  idempotencyKey?: string;
};

/** @property body parsed JSON. */
type ApiAnswer = { status: number; body: unknown };

const answerWithinMs = 20_000;
const passing: readonly number[] = [429, 500, 503];

/** @param ports of the receivers' relays. @param stop ends what is repeated. */
export function openApi(ports: readonly number[], key: string, random: Random, stop: AbortSignal): Api {
  const wrong: string[] = [];
  const dispatcher = new Agent({
    connections: 16,
    headersTimeout: answerWithinMs,
    bodyTimeout: answerWithinMs,
    connect: { timeout: 3_000 },
  });
  const once = async ({ method, path, body, idempotencyKey }: ApiCall): Promise<ApiAnswer | null> => {
    const origin = `http://127.0.0.1:${ports[random.below(ports.length)] ?? 0}`;
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { "content-type": "application/json" }),
      ...(idempotencyKey !== undefined && { "idempotency-key": idempotencyKey }),
    };
    try {
      const given = body === undefined ? null : JSON.stringify(body);
      const answer = await request(`${origin}${path}`, { method, headers, body: given, dispatcher });
      const text = await answer.body.text();
      if (answer.statusCode === 500) wrong.push(`${method} ${path} was answered 500: ${text.slice(0, 200)}`);
      return { status: answer.statusCode, body: JSON.parse(text) };
    } catch {
      return null;
    }
  };
  return {
    once,
    async until(call) {
      while (!stop.aborted) {
        const answer = await once(call);
        if (answer !== null && !passing.includes(answer.status)) return answer;
        await sleep(500 + random.below(1_000));
      }
      return null;
    },
    wrong,
    close: () => dispatcher.destroy(),
  };
}
