import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { RefusedError, UnverifiedError } from "../domain/errors.ts";
import { passing } from "../domain/maps.ts";

export type BodyLimits = {
  /** Of one body. */
  maxBytes: number;
  /** In how many pieces one body may arrive: each costs far more than a byte, and a stranger can send bytes one by one. */
  maxPieces: number;
  /** Of all bodies that are not complete. */
  maxBytesTogether: number;
};

const usual: BodyLimits = {
  // SNS carries 256 KiB, and escaping can multiply that.
  maxBytes: 1024 * 1024,
  maxPieces: 4_096,
  maxBytesTogether: 32 * 1024 * 1024,
};

/**
 * Reads a request's body as text, whatever its content type says: SNS sends JSON as `text/plain`.
 * @throws RefusedError 413 beyond its limits, as soon as that is known; 400 when it is not UTF-8 or never ends.
 * @throws UnverifiedError when it has given way to others.
 */
export type BodyReader = (request: IncomingMessage) => Promise<string>;

export function createBodyReader(limits: BodyLimits = usual): BodyReader {
  const room = createRoom(limits);
  return async (request) => textOf(await readBytes(request, limits, room));
}

function readBytes(
  request: IncomingMessage,
  { maxBytes, maxPieces }: BodyLimits,
  room: Room,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const draft = room.begin(() =>
      refuse(new UnverifiedError("body_crowded", "Too many bodies are incomplete")),
    );
    let pieces = 0;
    let isRefused = false;
    const refuse = (error: Error) => {
      isRefused = true;
      draft.end();
      reject(error);
    };
    const tooLarge = (limit: string) =>
      refuse(new RefusedError(413, "too_large", `The body is larger than ${limit}`));
    const brokenOff = (cause?: Error) =>
      refuse(new RefusedError(400, "aborted", "The request was broken off", { cause }));
    if (Number(request.headers["content-length"]) > maxBytes) return tooLarge(`${maxBytes} bytes`);
    request.on("data", (piece: Buffer) => {
      if (isRefused) return;
      pieces++;
      if (draft.length() + piece.length > maxBytes) tooLarge(`${maxBytes} bytes`);
      else if (pieces > maxPieces) tooLarge(`${maxPieces} pieces`);
      else draft.add(piece);
    });
    request.on("end", () => resolve(draft.end()));
    request.on("error", brokenOff);
    request.on("close", () => {
      if (!request.complete) brokenOff();
    });
  });
}

/** A body that is not complete. */
type Draft = {
  length(): number;
  add(piece: Buffer): void;
  /** @returns what has been added. */
  end(): Buffer;
};

/** What all drafts share. @property begin is told what to do when this one must give way. */
type Room = { begin(giveWay: () => void): Draft };

type Part = { bytes: Buffer; length: number; giveWay: () => void };

/**
 * Where drafts take too much together, the largest gives way: a stranger who sends large bodies slowly keeps no small
 * message out.
 */
function createRoom({ maxBytes, maxBytesTogether }: BodyLimits): Room {
  const parts = passing<Part>();
  let together = 0;
  const makeRoom = () => {
    while (together > maxBytesTogether) largest(parts.all()).giveWay();
  };
  return {
    begin(giveWay) {
      const part: Part = { bytes: Buffer.alloc(0), length: 0, giveWay };
      const leave = parts.add(part);
      return {
        length: () => part.length,
        add(piece) {
          together -= part.bytes.length;
          append(part, piece, maxBytes);
          together += part.bytes.length;
          makeRoom();
        },
        end() {
          if (leave()) together -= part.bytes.length;
          return part.bytes.subarray(0, part.length);
        },
      };
    },
  };
}

/** The only piece, as of nearly every message from SNS, is not copied. More pieces are, because each keeps a buffer of its own. */
function append(part: Part, piece: Buffer, maxBytes: number): void {
  const length = part.length + piece.length;
  if (part.length === 0) part.bytes = piece;
  else {
    if (length > part.bytes.length) part.bytes = grown(part, Math.min(maxBytes, 2 * length));
    piece.copy(part.bytes, part.length);
  }
  part.length = length;
}

function grown({ bytes, length }: Part, size: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(size);
  bytes.copy(larger, 0, 0, length);
  return larger;
}

function largest(parts: readonly Part[]): Part {
  return parts.reduce((one, other) => (other.bytes.length > one.bytes.length ? other : one));
}

/** A decoder would replace invalid bytes by U+FFFD, and the signature of a message with U+FFFD would then be valid. */
function textOf(body: Buffer): string {
  if (!isUtf8(body)) throw new RefusedError(400, "not_utf8", "The body is not UTF-8");
  return body.toString("utf8");
}
