import { type IdGenerator, RandomIdGenerator } from "@opentelemetry/sdk-trace-node";
import type { MessageTrace } from "./message-trace.ts";

/** Gives spans random ids, but the first span of a message those that are computed from its name. */
export class MessageIds implements IdGenerator {
  readonly #random = new RandomIdGenerator();
  #computed: MessageTrace | null = null;

  /** @param start starts one span, at once: ids are asked for before it returns. */
  use<Result>(ids: MessageTrace, start: () => Result): Result {
    this.#computed = ids;
    try {
      return start();
    } finally {
      this.#computed = null;
    }
  }

  generateTraceId = (): string => this.#computed?.traceId ?? this.#random.generateTraceId();
  generateSpanId = (): string => this.#computed?.spanId ?? this.#random.generateSpanId();
}
