// Owns the server of the directory in argv[2] until it is killed; prints its url, or what went wrong.
import { startEmbeddedPostgres } from "../../dist/src/embedded/embedded-postgres.js";

const heartbeat = setInterval(() => {}, 1_000);
try {
  const { url } = await startEmbeddedPostgres({ dataDir: process.argv[2] });
  process.stdout.write(`${JSON.stringify({ url })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: error.name, message: error.message })}\n`);
  clearInterval(heartbeat);
}
