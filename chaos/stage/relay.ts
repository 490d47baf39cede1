import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What a relay does to the bytes that pass. `answers` are those that come back from where it leads. */
type Silence = "both ways" | "answers";

/** A way between two parts, over TCP, that can be disturbed. */
export type Relay = {
  port: number;
  /** Connections lead to this port of the local host from now on; null: there is nothing to connect to. */
  leadTo(port: number | null): void;
  /** Resets all connections. New ones are accepted. */
  cut(): void;
  /** Every byte arrives so many milliseconds late. */
  delay(milliseconds: number): void;
  /** Nothing arrives any more, and nobody is told: as if packets were lost. New connections fare the same. */
  silence(kind: Silence): void;
  /** One end of each connection vanishes without a word; new ones are accepted. */
  loseFarEnds(): void;
  /** Ends delays and silence; what was held back arrives. */
  heal(): void;
  close(): Promise<void>;
};

/** The connection of a client, and the one that it leads to. */
type Pair = { near: Socket; far: Socket; questions: Flow; answers: Flow };

/** @param to a port of the local host. */
export async function openRelay(to: number | null): Promise<Relay> {
  const pairs = new Set<Pair>();
  const state = { to, delayMs: 0, silence: null as Silence | null };
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (near) => {
    if (state.to === null) return reset(near);
    const far = connect({ port: state.to, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const delayMs = () => state.delayMs;
    const pair = { near, far, questions: flow(near, far, delayMs), answers: flow(far, near, delayMs) };
    pairs.add(pair);
    near.on("close", () => pairs.delete(pair));
    hush(pair, state.silence);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const hushAll = (silence: Silence | null) => {
    state.silence = silence;
    for (const pair of pairs) hush(pair, silence);
  };
  return {
    // A server that listens on a port has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    leadTo(port) {
      state.to = port;
    },
    cut() {
      for (const { near, far } of pairs) {
        reset(near);
        reset(far);
      }
    },
    delay(milliseconds) {
      state.delayMs = milliseconds;
    },
    silence: hushAll,
    loseFarEnds() {
      for (const pair of pairs) {
        pair.questions.stop();
        pair.answers.stop();
        pair.far.removeAllListeners("close").destroy();
      }
    },
    heal() {
      state.delayMs = 0;
      hushAll(null);
    },
    async close() {
      server.close();
      for (const { near, far } of pairs) {
        near.destroy();
        far.destroy();
      }
      await once(server, "close");
    },
  };
}

/** One that is ending is not reset: a Node.js process with such a socket never exits (seen with 20.20). */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

function hush({ questions, answers }: Pair, silence: Silence | null): void {
  if (silence === "both ways") questions.hold();
  else questions.release();
  if (silence === null) answers.release();
  else answers.hold();
}

/** The bytes of one direction. */
type Flow = {
  hold(): void;
  release(): void;
  /** Nothing passes again, whatever happens. */
  stop(): void;
};

function flow(from: Socket, to: Socket, delayMs: () => number): Flow {
  const state = { isHeld: false, isStopped: false };
  const queue: { dueMs: number; pass: () => void }[] = [];
  const drain = () => {
    for (;;) {
      const [next] = queue;
      if (next === undefined) return;
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) return void setTimeout(drain, leftMs);
      queue.shift();
      next.pass();
    }
  };
  /** Runs at once or after the delay, and never before what came earlier. */
  const inTime = (pass: () => void) => {
    queue.push({ dueMs: performance.now() + delayMs(), pass });
    if (queue.length === 1) drain();
  };
  const goOn = () => {
    if (!state.isHeld && !state.isStopped) from.resume();
  };
  from.on("data", (data) =>
    inTime(() => {
      if (state.isStopped || to.destroyed) return;
      if (to.write(data)) return;
      from.pause();
      to.once("drain", goOn);
    }),
  );
  from.on("end", () => inTime(() => !state.isStopped && to.end()));
  from.on("error", () => {
    if (!state.isStopped) reset(to);
  });
  from.on("close", () => inTime(() => !state.isStopped && to.destroy()));
  return {
    hold() {
      state.isHeld = true;
      from.pause();
    },
    release() {
      state.isHeld = false;
      goOn();
    },
    stop() {
      state.isStopped = true;
      from.pause();
    },
  };
}
