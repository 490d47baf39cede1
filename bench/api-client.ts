import { Client } from "undici";

/** An API client with one keep-alive connection. */
export type ApiClient = {
  /** The body of a GET. @throws if the response is not 200. */
  get(path: string): Promise<string>;
  /** Like `get`, chunk by chunk. */
  stream(path: string): Promise<AsyncIterable<Buffer>>;
  close(): Promise<void>;
};

export function apiClient(service: { url: string; key: string }): ApiClient {
  const client = new Client(service.url);
  const headers = { authorization: `Bearer ${service.key}` };

  async function bodyOf(path: string) {
    const { statusCode, body } = await client.request({ method: "GET", path, headers });
    if (statusCode === 200) return body;
    throw new Error(`GET ${path} answered ${statusCode}: ${await body.text()}`);
  }

  return {
    get: async (path) => (await bodyOf(path)).text(),
    stream: bodyOf,
    close: () => client.destroy(),
  };
}
