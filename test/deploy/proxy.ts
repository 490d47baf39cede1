import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../support/wait.ts";
import { readCompose, serviceOf } from "./compose-file.ts";
import { freePort, hasProgram, type RunningProcess, runCommand } from "./running-process.ts";

const root = new URL("../../", import.meta.url);

/** Whether there is a `haproxy` on this machine. CI installs it, and skips nothing. */
export const hasProxy: boolean = process.env["CI"] === "true" || hasProgram("haproxy", "-v");

export type RunningProxy = {
  url: string;
  port: number;
  process: RunningProcess;
  /** As the engine stops it. Its exit code is then 0. */
  stop(): Promise<number | null>;
};

/** The real proxy with the command of docker-compose.yml and the real configuration, in front of receivers at `ports`. */
export async function startProxy(ports: number[]): Promise<RunningProxy> {
  const compose = await readCompose({ POSTGRES_PASSWORD: "none", ENCRYPTION_KEY: "none" });
  const { command, volumes, stop_signal } = serviceOf(compose, "proxy");
  const [source = "", mounted = ""] = volumes[0]?.split(":") ?? [];
  const directory = await mkdtemp(join(tmpdir(), "fanmail-proxy-"));
  const port = await freePort();
  const path = join(directory, "haproxy.cfg");
  await writeFile(path, localised(await readFile(new URL(source, root), "utf8"), port, ports));
  if (!command.includes(mounted)) throw new Error(`The proxy's command does not read ${mounted}`);
  const running = runCommand(command.map((word) => (word === mounted ? path : word)));
  await until("the proxy listens", async () => {
    if (running.hasEnded()) throw new Error(`The proxy ended: ${(await running.ended).output}`);
    return accepts(port);
  });
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    process: running,
    async stop() {
      const { code } = await running.stop(stop_signal);
      await rm(directory, { recursive: true, force: true });
      return code;
    },
  };
}

/** Every name of a container and every fixed port becomes an address of this machine; all else stays. */
function localised(text: string, port: number, receivers: number[]): string {
  const template =
    /^( *)server-template receiver \d+ receiver:3000 (.*) resolvers receivers init-addr none$/gm;
  if (text.match(template)?.length !== 2) throw new Error("haproxy.cfg names the receivers in another way");
  return text
    .replace(template, (_, indent: string, options: string) =>
      receivers
        .map((one, index) => `${indent}server receiver${index + 1} 127.0.0.1:${one} ${options}`)
        .join("\n"),
    )
    .replace(/^( *)bind :8080$/m, `$1bind 127.0.0.1:${port}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
