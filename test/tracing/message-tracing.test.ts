import { describe, expect, test } from "vitest";
import { formatTraceparent, parseTraceparent, traceOfMessage } from "../../src/tracing/message-tracing.ts";

const message = {
  topicArn: "arn:aws:sns:eu-west-1:123456789012:ses-events",
  messageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
};
// printf 'arn:aws:sns:eu-west-1:123456789012:ses-events\n22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324' | sha256sum
const trace = { traceId: "2b4190159f4dd8c0b37dbb9ee68e08f1", spanId: "0b5090270b39c3e4" };

test("the trace of a message is the beginning of the SHA-256 of its topic and id, however the id is spelled", () => {
  expect(traceOfMessage(message)).toEqual(trace);
  expect(traceOfMessage({ ...message, messageId: message.messageId.toUpperCase() })).toEqual(trace);
});

describe("a traceparent", () => {
  test("is read as it was written", () => {
    expect(formatTraceparent(trace)).toBe(`00-${trace.traceId}-${trace.spanId}-01`);
    expect(parseTraceparent(formatTraceparent(trace))).toEqual(trace);
  });

  test.each(["", "00", `00-${trace.traceId}-${trace.spanId}-00`, `${formatTraceparent(trace)}\r\nx: y`])(
    "%j is none of ours",
    (text) => expect(parseTraceparent(text)).toBeNull(),
  );
});
