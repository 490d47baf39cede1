import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import { type Answer as DnsRecord, decode, encode } from "dns-packet";

type Family = "A" | "AAAA";
/** Addresses of both families, of which a question gets its own; or a failure; or nothing at all. */
type DnsAnswer = readonly string[] | "NXDOMAIN" | "SERVFAIL" | "silence";

export type DnsServer = {
  /** `address:port`. */
  address: string;
  /** What is answered of a name: one after the other, the last from then on. Other names do not exist. */
  tell(name: string, ...answers: (DnsAnswer | Record<Family, DnsAnswer>)[]): void;
  /** `A example.test` of each question so far. */
  asked: string[];
  close(): Promise<void>;
};

const rcodes = { SERVFAIL: 2, NXDOMAIN: 3 };

/** A real name server, which answers as the test says. */
export async function dnsServer(): Promise<DnsServer> {
  const asked: string[] = [];
  const answers = new Map<string, DnsAnswer[]>();
  const socket = createSocket("udp4");
  socket.on("message", (message, { port, address }) => {
    const { id, questions } = decode(message);
    const [question] = questions ?? [];
    if (question?.type !== "A" && question?.type !== "AAAA") return;
    const key = `${question.type} ${question.name.toLowerCase()}`;
    asked.push(key);
    const queue = answers.get(key) ?? ["NXDOMAIN"];
    const answer = (queue.length > 1 ? queue.shift() : queue[0]) ?? "NXDOMAIN";
    if (answer === "silence") return;
    const flags = typeof answer === "string" ? rcodes[answer] : 0;
    const records = typeof answer === "string" ? [] : recordsOf(question.name, question.type, answer);
    socket.send(encode({ type: "response", id: id ?? 0, flags, questions, answers: records }), port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    tell(name, ...given) {
      for (const family of ["A", "AAAA"] as const) {
        answers.set(
          `${family} ${name}`,
          given.map((answer) => (isForBoth(answer) ? answer : answer[family])),
        );
      }
    },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function isForBoth(answer: DnsAnswer | Record<Family, DnsAnswer>): answer is DnsAnswer {
  return typeof answer === "string" || Array.isArray(answer);
}

function recordsOf(name: string, type: Family, addresses: readonly string[]): DnsRecord[] {
  return addresses
    .filter((address) => isIP(address) === (type === "A" ? 4 : 6))
    .map((data) => ({ type, name, ttl: 0, data }));
}
