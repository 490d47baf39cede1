import { connect, type Socket } from "node:net";

/** A request as it goes over the wire. */
export type WireRequest = {
  method: string;
  target: string;
  version: string;
  /** Lines of the head. */
  headers: string[];
  /** What follows the head, in the pieces in which it is written. */
  body: Buffer[];
  /** It leaves the connection in a state in which no other request can follow. */
  isLast: boolean;
  /** The server may wait for more, and learns that nothing follows. */
  isIncomplete: boolean;
};

export type WireAnswer = { status: number; text: string };

/** A client of HTTP that sends whatever it is given, one request after the other. */
export type Wire = {
  /** @returns null if the server closes the connection without an answer. */
  send(request: WireRequest): Promise<WireAnswer | null>;
  close(): void;
};

export function openWire(origin: string): Wire {
  const { hostname, port } = new URL(origin);
  let socket: Socket | null = null;
  const open = () => connect({ host: hostname, port: Number(port), noDelay: true });
  return {
    async send(request) {
      const isLast = request.isLast || request.isIncomplete;
      if (isLast || socket?.destroyed) socket = null;
      socket ??= open();
      const answered = answerOn(socket);
      write(socket, request);
      const answer = await answered;
      if (isLast || answer === null || answer.isLast) {
        socket.destroy();
        socket = null;
      }
      return answer;
    },
    close: () => void socket?.destroy(),
  };
}

function write(socket: Socket, { method, target, version, headers, body, isIncomplete }: WireRequest): void {
  const head = [`${method} ${target} ${version}`, ...headers].join("\r\n");
  const [first = Buffer.alloc(0), ...others] = body;
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), first]));
  for (const piece of others) socket.write(piece);
  if (isIncomplete) socket.end();
}

function answerOn(socket: Socket): Promise<(WireAnswer & { isLast: boolean }) | null> {
  return new Promise((resolve) => {
    let received = "";
    const done = (answer: (WireAnswer & { isLast: boolean }) | null) => {
      socket.removeAllListeners();
      // The server may close a connection that it has answered on.
      socket.on("error", () => {});
      resolve(answer);
    };
    socket.on("data", (piece) => {
      received += piece.toString("latin1");
      const answer = readAnswer(received);
      if (answer) done(answer);
    });
    socket.on("error", () => done(null));
    socket.on("close", () => done(null));
  });
}

/** @returns null while it is not complete. */
function readAnswer(received: string): (WireAnswer & { isLast: boolean }) | null {
  const text = received.replace(/^(HTTP\/1\.1 1\d\d .*?\r\n\r\n)+/s, "");
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return null;
  const head = text.slice(0, end);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const body = text.slice(end + 4, end + 4 + length);
  if (body.length < length) return null;
  return { status: Number(head.slice(9, 12)), text: body, isLast: /\r\nconnection: *close/i.test(head) };
}
