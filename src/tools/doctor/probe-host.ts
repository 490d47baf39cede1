import { type Dispatcher, request } from "undici";
import { errorText } from "../../logger.ts";
import { DeadlineError, withinDeadline } from "./reading.ts";

/** How a host of AWS answered. `date`: its header; null when there is none. */
export type HostAnswer = {
  host: string;
  outcome:
    | { kind: "answered"; date: Date | null; askedAt: Date; answeredAt: Date }
    | { kind: HostFailure; text: string };
};

export type HostFailure = "dns" | "refused" | "time-out" | "tls" | "unreachable";

/**
 * Requests `https://<host>/`, as the service does for a certificate. Any answer proves DNS, TCP and TLS.
 * @param now the time of this clock.
 */
export async function probeHost(
  host: string,
  dispatcher: Dispatcher,
  now: () => Date,
  timeoutMs: number,
): Promise<HostAnswer> {
  const askedAt = now();
  try {
    const { headers, body } = await withinDeadline(
      (signal) => request(`https://${host}/`, { dispatcher, signal }),
      timeoutMs,
    );
    const answeredAt = now();
    await body.dump();
    const date = new Date(String(headers["date"]));
    const isDate = !Number.isNaN(date.getTime());
    return { host, outcome: { kind: "answered", date: isDate ? date : null, askedAt, answeredAt } };
  } catch (error) {
    return { host, outcome: { kind: failureOf(error), text: errorText(error) } };
  }
}

const kinds: readonly [HostFailure, RegExp][] = [
  ["dns", /^(ENOTFOUND|EAI_AGAIN|EAI_FAIL|ENODATA|ESERVFAIL)$/],
  ["refused", /^(ECONNREFUSED|ECONNRESET|UND_ERR_SOCKET|EPIPE)$/],
  ["time-out", /^(ETIMEDOUT|UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT)$/],
  ["tls", /CERT|SELF_SIGNED|UNABLE_TO_|^ERR_(TLS|SSL)|^EPROTO$|HOSTNAME_MISMATCH/],
];

function failureOf(error: unknown): HostFailure {
  // undici ignores the signal while it connects; then the deadline ends the request.
  if (error instanceof DeadlineError || (error instanceof Error && error.name === "AbortError"))
    return "time-out";
  const codes = codesOf(error);
  return kinds.find(([, pattern]) => codes.some((code) => pattern.test(code)))?.[0] ?? "unreachable";
}

/** The codes of an error, of its causes, and of each address that was tried. */
function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const inner = error instanceof AggregateError ? error.errors : [error.cause];
  return [...("code" in error ? [String(error.code)] : []), ...inner.flatMap(codesOf)];
}
