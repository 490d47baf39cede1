import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";

/*
 * AWS Signature Version 4, as a service checks it: computed again from the request.
 * Source: "Create a signed AWS API request", AWS Identity and Access Management user guide.
 */

export type Credentials = { accessKeyId: string; secretAccessKey: string };

/** @returns the code of AWS's error; null when the signature is valid. */
export function refusal(
  request: IncomingMessage,
  body: Buffer,
  { accessKeyId, secretAccessKey }: Credentials,
): string | null {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      request.headers.authorization ?? "",
    );
  if (given === null) return "MissingAuthenticationToken";
  const [, id, day = "", region = "", service = "", signedHeaders = "", signature = ""] = given;
  if (id !== accessKeyId) return "InvalidClientTokenId";
  const time = String(request.headers["x-amz-date"]);
  const isSigned = ["host", "x-amz-date"].every((name) => signedHeaders.split(";").includes(name));
  if (!isSigned || !time.startsWith(day)) return "IncompleteSignature";
  const canonical = canonicalRequest(request, body, signedHeaders.split(";"));
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  let key: Buffer = Buffer.from(`AWS4${secretAccessKey}`);
  for (const part of [day, region, service, "aws4_request"]) key = hmac(key, part);
  const isRight = timingSafeEqual(hmac(key, text), Buffer.from(signature, "hex"));
  return isRight ? null : "SignatureDoesNotMatch";
}

/** The region in the scope of a signature. */
export function regionSignedFor({ headers }: IncomingMessage): string {
  return headers.authorization?.split("/")[2] ?? "";
}

function canonicalRequest({ method, url = "", headers }: IncomingMessage, body: Buffer, signed: string[]) {
  const [path = "", query = ""] = url.split("?");
  const parameters = [...new URLSearchParams(query)]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort();
  const lines = signed.map((name) => `${name}:${String(headers[name]).trim().replaceAll(/ +/g, " ")}\n`);
  return [
    method,
    path.split("/").map(encode).join("/"),
    parameters.join("&"),
    lines.join(""),
    signed.join(";"),
    sha256(body),
  ].join("\n");
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

function sha256(content: string | Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
