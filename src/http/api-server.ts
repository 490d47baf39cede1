import type { Context } from "../context.ts";
import { createReceiver, isIngest } from "../receive/http-receiver.ts";
import type { Intake } from "../receive/intake.ts";
import { createApp } from "./app.ts";
import { type HttpServer, serve } from "./server.ts";

/** Serves the receiver and the API on one port. */
export async function startServer(context: Context, intake: Intake): Promise<HttpServer> {
  const { config, log, metrics } = context;
  const receive = createReceiver({ intake, rawTokens: config.snsRawTokens, metrics, log });
  const app = createApp(context);
  return serve(context, config.port, (request, response) => {
    if (isIngest(request)) void receive(request, response);
    else app(request, response);
  });
}
