import { isIP, type LookupFunction, type Socket } from "node:net";
import { Agent, buildConnector } from "undici";
import { type AddressGuard, BlockedAddressError, type WebProtocol } from "./address-guard.ts";

/** DNS and TLS included. */
const connectTimeoutMs = 10_000;
/** Node gives up an address after 250 ms unless told, before a first packet that is lost is even sent again. */
const attemptTimeoutMs = 2_000;
/** Servers commonly close a connection that was idle for 5 s, and a POST on one that is being closed fails. */
const keepAliveMs = 4_000;

/**
 * The connections to customers' systems. A host is resolved once for each connection, only addresses that the guard allows
 * are connected to, and the one that was reached is looked at again. Requests fail with BlockedAddressError otherwise.
 */
export function webhookDispatcher(guard: AddressGuard): Agent {
  const connectors = { "https:": connectorOf(guard, "https:"), "http:": connectorOf(guard, "http:") };
  return new Agent({
    // What endpoints have in flight bounds them. A bound per origin would let one that hangs starve others of its host.
    connections: null,
    pipelining: 1,
    keepAliveTimeout: keepAliveMs,
    connect(options, callback) {
      const protocol = options.protocol === "https:" ? "https:" : "http:";
      connectGuarded(guard, protocol, connectors[protocol], options).then(
        (socket) => callback(null, socket),
        (error: Error) => callback(error, null),
      );
    },
  });
}

/** Connects to the addresses that were checked, whatever name servers say by then. TLS still expects the host's name. */
function connectorOf(guard: AddressGuard, protocol: WebProtocol): buildConnector.connector {
  const lookup: LookupFunction = (hostname, { all }, callback) => {
    guard.addressesFor(hostname, protocol).then(
      (addresses) => {
        const [first] = addresses;
        if (all) callback(null, addresses);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error: Error) => callback(error, ""),
    );
  };
  // undici's types do not have all that it hands on to the socket.
  const options: buildConnector.BuildOptions & { lookup: LookupFunction } = {
    timeout: connectTimeoutMs,
    autoSelectFamilyAttemptTimeout: attemptTimeoutMs,
    lookup,
  };
  return buildConnector(options);
}

async function connectGuarded(
  guard: AddressGuard,
  protocol: WebProtocol,
  connect: buildConnector.connector,
  options: buildConnector.Options,
): Promise<Socket> {
  const { hostname } = options;
  // Sockets look nothing up where the host is an address already.
  if (isIP(hostname) !== 0) await guard.addressesFor(hostname, protocol);
  const socket = await new Promise<Socket>((resolve, reject) => {
    connect(options, (error, connected) => (error ? reject(error) : resolve(connected)));
  });
  const peer = socket.remoteAddress;
  if (peer !== undefined && guard.isAllowed(peer, protocol)) return socket;
  socket.destroy();
  if (peer === undefined) throw closedAtOnce(hostname);
  throw new BlockedAddressError(hostname, `was reached at ${peer}, an address that is not allowed`);
}

/** A socket that is closed again has no peer. */
function closedAtOnce(hostname: string): Error {
  const error = new Error(`${hostname} closed the connection as soon as it was open`);
  return Object.assign(error, { code: "ECONNRESET" });
}
