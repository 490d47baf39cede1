import { spawn } from "node:child_process";

/** Ends what a run has started if the run itself is killed. */
export type Watchdog = {
  started(pid: number): void;
  ended(pid: number): void;
  /** A directory on a volume of its own, which must be unmounted before the run's directory is removed. */
  mounted(directory: string): void;
  /** Everything has been cleaned up. */
  dismiss(): void;
};

/** Reads lines until its input ends, as it does when the run ends in whatever way. */
const script = `
pids=" "; mounts=""
while read -r word value; do
  case $word in
    started) pids="$pids$value " ;;
    ended) pids=$(printf %s "$pids" | sed "s/ $value / /") ;;
    mounted) mounts="$mounts $value" ;;
    dismissed) exit 0 ;;
  esac
done
for pid in $pids; do kill -KILL $pid 2>/dev/null; done
sleep 1
for mount in $mounts; do umount -l "$mount"; done
rm -rf "$1"`;

/** @param directory the run's own. */
export function startWatchdog(directory: string): Watchdog {
  const child = spawn("sh", ["-c", script, "sh", directory], {
    stdio: ["pipe", "ignore", "ignore"],
    // Ctrl-C ends the run, which then cleans up itself.
    detached: true,
  });
  child.unref();
  child.stdin.on("error", () => {});
  const say = (line: string) => void child.stdin.write(`${line}\n`);
  return {
    started: (pid) => say(`started ${pid}`),
    ended: (pid) => say(`ended ${pid}`),
    mounted: (path) => say(`mounted ${path}`),
    dismiss() {
      say("dismissed 0");
      child.stdin.end();
    },
  };
}
