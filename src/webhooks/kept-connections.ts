import type { Agent, ClientRequest, RequestOptions } from "node:http";
import type { Socket } from "node:net";
import type { HeadReader } from "./equal-lengths.ts";

declare module "node:http" {
  interface Agent {
    /** What a request calls for its connection; the types of Node leave it out. */
    addRequest(request: ClientRequest, options: RequestOptions): void;
  }
}

/** The connections of all agents. @property size how many may be open. */
export type Pool = {
  open: Map<Socket, HeadReader>;
  /** The one that has been idle longest is first. Each with the connections to the same origin that are idle too. */
  idle: Map<Socket, Socket[]>;
  size: number;
};

/** @property origin host and port: a connection to the same may carry a request. */
export type OfOrigin = { origin: string };

/** More than most processes post to. */
const mostOrigins = 1_000;

/**
 * Keeps idle connections until unexpected data arrives on them or their place is needed, and reuses the latest one. Node's
 * own way to find one costs as much as the rest of a request, because it writes out and compares all options.
 */
export function keepConnections<Kept extends Agent>(agent: Kept, { open, idle }: Pool): Kept {
  const byOrigin = new Map<string, Socket[]>();
  const connect = agent.addRequest.bind(agent);
  agent.addRequest = (request, options: RequestOptions & Partial<OfOrigin>) => {
    const socket = byOrigin.get(options.origin ?? "")?.pop();
    if (socket === undefined) return connect(request, options);
    idle.delete(socket);
    socket.off("data", destroyUnasked);
    open.get(socket)?.expectHead();
    agent.reuseSocket(socket, request);
    request.onSocket(socket);
  };
  // Of the agent, which would keep it under a name of its own.
  agent.removeAllListeners("free");
  agent.on("free", (socket: Socket, { origin }: OfOrigin) => {
    // By the server's `Keep-Alive` header too.
    const mayBeKept: unknown = socket.writable && agent.keepSocketAlive(socket);
    if (mayBeKept !== true || socket.readableLength > 0) {
      socket.destroy();
      return;
    }
    socket.on("data", destroyUnasked);
    const kept = keptOf(byOrigin, origin);
    kept.push(socket);
    idle.set(socket, kept);
  });
  return agent;
}

/** Connections to forgotten origins end by themselves. */
function keptOf(byOrigin: Map<string, Socket[]>, origin: string): Socket[] {
  const known = byOrigin.get(origin);
  if (known !== undefined) return known;
  if (byOrigin.size >= mostOrigins) byOrigin.clear();
  const kept: Socket[] = [];
  byOrigin.set(origin, kept);
  return kept;
}

/** Unexpected data would be taken for the answer to the next post. */
function destroyUnasked(this: Socket): void {
  this.destroy();
}

/** Counts a new connection until it is closed. */
export function watchConnection({ open, idle }: Pool, socket: Socket, heads: HeadReader): void {
  open.set(socket, heads);
  socket.on("timeout", () => {
    if (idle.has(socket)) socket.destroy();
  });
  socket.once("close", () => {
    open.delete(socket);
    const kept = idle.get(socket);
    if (kept === undefined) return;
    idle.delete(socket);
    kept.splice(kept.indexOf(socket), 1);
  });
  // While it is idle nothing else listens, and its end is all that matters.
  socket.on("error", () => {});
}

/** Closes the connection that has been idle longest if the pool is full. */
export function makePlace({ open, idle, size }: Pool): void {
  const [oldest] = idle.keys();
  if (open.size >= size) oldest?.destroy();
}
