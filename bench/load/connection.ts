import { connect, type Socket } from "node:net";

/** Called with the status of each response, and the text of one that is not 200. */
export type OnReply = (status: number, text: string) => void;

/** A keep-alive connection with one request at a time, as SNS has it. */
export type Connection = {
  /** The next request must wait for the reply. */
  send(request: Buffer): void;
  close(): void;
};

/** Understands just enough of HTTP: the load generator shares the processors with what it measures. */
export async function openConnection(origin: string, onReply: OnReply): Promise<Connection> {
  const { hostname, port } = new URL(origin);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  listen(socket, onReply);
  return {
    send: (request) => void socket.write(request),
    close: () => void socket.destroy(),
  };
}

function listen(socket: Socket, onReply: OnReply): void {
  let received = "";
  let isAwaited = true;
  socket.on("data", (piece) => {
    received += piece.toString("latin1");
    const length = lengthOf(received);
    if (length === null || received.length < length) return;
    const text = received;
    received = "";
    onReply(Number(text.slice(9, 12)), text);
  });
  socket.on("error", (error) => onReply(0, error.message));
  socket.on("close", () => {
    if (isAwaited) onReply(0, "the connection was closed");
    isAwaited = false;
  });
}

/** The length of a response with its header. @returns null while the header is incomplete. */
function lengthOf(received: string): number | null {
  const headerEnd = received.indexOf("\r\n\r\n");
  if (headerEnd === -1) return null;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received)?.[1];
  if (length === undefined) throw new Error("A response does not give its length");
  return headerEnd + 4 + Number(length);
}
