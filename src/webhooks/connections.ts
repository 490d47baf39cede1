import {
  type ClientRequest,
  type ClientRequestArgs,
  Agent as HttpAgent,
  request as httpRequest,
  type RequestOptions,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { isIP, type LookupFunction, Socket } from "node:net";
import type { FailureClass } from "../domain/webhooks/outcome.ts";
import { type AddressGuard, BlockedAddressError, type WebProtocol } from "./address-guard.ts";
import { mergeEqualLengths } from "./equal-lengths.ts";
import { keepConnections, makePlace, type OfOrigin, type Pool, watchConnection } from "./kept-connections.ts";
import { errorCode } from "./resolve-host.ts";
import type { SocketRoom } from "./socket-room.ts";

/** DNS and TLS included. */
const connectTimeoutMs = 10_000;
/** Node's default of 250 ms gives up an address before a lost first packet is sent again. */
const addressTimeoutMs = 2_000;
/** Servers commonly close a connection after 5 s of idleness, and a POST on one that is closing fails. */
const keepAliveMs = 4_000;

/** Connections to webhook endpoints. */
export type WebhookConnections = {
  /**
   * Begins a POST; `end` of the request sends it. The request fails with BlockedAddressError when the guard does not allow
   * an address, and with ConnectError when no connection is made.
   * @param headers names and values in turn, without Host. Node writes such a list as it is, in a fraction of the time
   *   that an object takes.
   * @throws BlockedAddressError for another protocol.
   * @throws TypeError for headers that HTTP cannot carry.
   */
  post(url: string, headers: readonly string[]): ClientRequest;
  /** Bounds the posts in flight; each takes a place first. */
  room: SocketRoom;
  destroy(): void;
};

/** No connection was made. */
export class ConnectError extends Error {
  override readonly name = "ConnectError";
  /** The cause's code. */
  readonly code: string;
  readonly failure: FailureClass;

  constructor(failure: FailureClass, cause: Error) {
    super(cause.message || errorCode(cause), { cause });
    this.code = errorCode(cause);
    this.failure = failure;
  }
}

/**
 * A host is resolved once for each connection, only addresses that the guard allows are connected to, and the address
 * that was reached is checked again. Each endpoint's `max_in_flight` and `room` bound the connections: a bound per origin
 * would let one endpoint that hangs starve others on its host.
 */
export function webhookConnections(guard: AddressGuard, room: SocketRoom): WebhookConnections {
  const pool: Pool = { open: new Map(), idle: new Map(), size: room.size };
  const agents = {
    "https:": keepConnections(guarded(new HttpsAgent(agentOptions), guard, "https:", pool), pool),
    "http:": keepConnections(guarded(new HttpAgent(agentOptions), guard, "http:", pool), pool),
  };
  const targetOf = rememberedTargets(guard);
  return {
    room,
    post(url, headers) {
      const { protocol, target } = targetOf(url);
      const request = protocol === "https:" ? httpsRequest : httpRequest;
      return request({ ...target, agent: agents[protocol], headers: ["host", target.origin, ...headers] });
    },
    destroy() {
      for (const agent of Object.values(agents)) agent.destroy();
      for (const socket of pool.open.keys()) socket.destroy();
    },
  };
}

type Target = { protocol: WebProtocol; target: RequestOptions & OfOrigin };

/** More endpoints than most projects have. */
const mostTargets = 1_000;

/** Reads a URL once, not for each post. @throws BlockedAddressError for another protocol. */
function rememberedTargets(guard: AddressGuard): (url: string) => Target {
  const targets = new Map<string, Target>();
  return (url) => {
    const known = targets.get(url);
    if (known !== undefined) return known;
    if (targets.size >= mostTargets) targets.clear();
    const target = readTarget(guard, url);
    targets.set(url, target);
    return target;
  };
}

function readTarget(guard: AddressGuard, url: string): Target {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  if (protocol !== "https:" && protocol !== "http:") {
    throw new BlockedAddressError(hostname, `is not reached by ${protocol}`);
  }
  // A final dot keeps resolvers from completing a name; certificates and virtual hosts use the name without it.
  const host = hostname.replace(/\.$/, "");
  const target = {
    method: "POST",
    host: host.replace(/^\[|\]$/g, ""),
    port,
    path: pathname + search,
    origin: port === "" ? host : `${host}:${port}`,
    lookup: guardedLookup(guard, protocol, hostname),
  };
  return { protocol, target };
}

const agentOptions = {
  keepAlive: true,
  timeout: keepAliveMs,
  autoSelectFamilyAttemptTimeout: addressTimeoutMs,
};

function guarded<Agent extends HttpAgent>(
  agent: Agent,
  guard: AddressGuard,
  protocol: WebProtocol,
  pool: Pool,
): Agent {
  const connect = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    connectGuarded(guard, protocol, pool, options, (withLookup) => connect(withLookup)).then(
      (socket) => callback?.(null, socket),
      // With an error, agents ignore the socket.
      (error: Error) => callback?.(error, new Socket()),
    );
    return undefined;
  };
  return agent;
}

/** Returns the addresses that were checked, so no second DNS answer is used. TLS still expects the host's name. */
function guardedLookup(guard: AddressGuard, protocol: WebProtocol, hostname: string): LookupFunction {
  return (_host, { all }, callback) => {
    guard.addressesFor(hostname, protocol).then(
      (addresses) => {
        const [first] = addresses;
        if (all) callback(null, addresses);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error: Error) => callback(error, ""),
    );
  };
}

async function connectGuarded(
  guard: AddressGuard,
  protocol: WebProtocol,
  pool: Pool,
  options: ClientRequestArgs,
  connect: (options: ClientRequestArgs) => unknown,
): Promise<Socket> {
  const host = options.host ?? "";
  // Sockets skip the lookup when the host is already an address.
  if (isIP(host) !== 0) await guard.addressesFor(host, protocol);
  makePlace(pool);
  const socket = await connected(protocol, options, connect, pool);
  const peer = socket.remoteAddress;
  if (peer !== undefined && guard.isAllowed(peer, protocol)) return socket;
  socket.destroy();
  if (peer === undefined) throw new ConnectError("connection", closedEarly(host));
  throw new BlockedAddressError(host, `was reached at ${peer}, an address that is not allowed`);
}

type Phase = "dns" | "connection" | "tls";

/** @throws ConnectError, or BlockedAddressError unchanged. */
function connected(
  protocol: WebProtocol,
  options: ClientRequestArgs,
  connect: (options: ClientRequestArgs) => unknown,
  pool: Pool,
): Promise<Socket> {
  let phase: Phase = isIP(options.host ?? "") === 0 ? "dns" : "connection";
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...options,
      lookup: (hostname, how, callback) => {
        options.lookup?.(hostname, how, (error, address, family) => {
          if (error === null) phase = "connection";
          callback(error, address, family);
        });
      },
    });
    if (!(socket instanceof Socket)) throw new TypeError("Agents connect with sockets");
    watchConnection(pool, socket, mergeEqualLengths(socket));
    const timer = setTimeout(() => socket.destroy(timeoutError()), connectTimeoutMs);
    const fail = (error: Error) => {
      clearTimeout(timer);
      reject(error instanceof BlockedAddressError ? error : new ConnectError(failureIn(phase, error), error));
    };
    const close = () => fail(closedEarly(options.host ?? ""));
    socket.once("error", fail).once("close", close);
    socket.once("connect", () => {
      phase = "tls";
    });
    socket.once(protocol === "https:" ? "secureConnect" : "connect", () => {
      clearTimeout(timer);
      socket.off("error", fail).off("close", close);
      resolve(socket);
    });
  });
}

const timedOut = /^(ETIMEDOUT|ERR_SOCKET_CONNECTION_TIMEOUT)$/;
const brokenOff = /^(ECONNRESET|ECONNABORTED|EPIPE|ENOTCONN)$/;

function failureIn(phase: Phase, error: Error): FailureClass {
  if (phase === "dns") return "dns";
  const code = errorCode(error);
  if (timedOut.test(code)) return "timeout";
  return brokenOff.test(code) ? "connection" : phase;
}

function timeoutError(): Error {
  const error = new Error(`No connection in ${connectTimeoutMs} ms`);
  return Object.assign(error, { code: "ETIMEDOUT" });
}

function closedEarly(hostname: string): Error {
  const error = new Error(`${hostname} closed the connection as soon as it was open`);
  return Object.assign(error, { code: "ECONNRESET" });
}
