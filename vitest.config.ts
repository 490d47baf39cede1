import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** `npm run test:slow`: kills, large tables, a browser, a proxy, long property runs. */
const isLong = process.env["TEST_LENGTH"] !== undefined;

/** Files of `npm test` that have more to do in the long run: see `atLength`. */
const longer = [
  "test/domain/computed-id.test.ts",
  "test/domain/mail/{activity,activity-change,event-detail,mail-facts,same-feedback,ses-notification,ses-reader,usual-sns-message}.test.ts",
  "test/http/hostile-requests.test.ts",
  "test/http/dialects/smartcq-polling.test.ts",
  "test/queue/conformance.test.ts",
  "test/receive/mutated-messages.test.ts",
  "test/process/{lane-crash,sqs-crash}.test.ts",
];

/** Files whose tests wait long. vitest starts small files last, and these would delay the end. */
const waiting =
  /test\/(process|slow)\/|(unavailable|useless-database|connection-guard|webhook-answers|doctor|sqs-consumer|conformance|queue\/redis)\.test\.ts$/;

class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isWaiting = ({ moduleId }: TestSpecification) => waiting.test(moduleId);
    return [...sorted.filter(isWaiting), ...sorted.filter((file) => !isWaiting(file))];
  }
}

export default defineConfig({
  test: {
    include: isLong ? ["test/slow/**/*.test.ts", ...longer] : ["test/**/*.test.ts"],
    exclude: isLong ? [] : ["test/slow/**"],
    globalSetup: ["test/support/global-setup.ts"],
    pool: "forks",
    // The modules keep no state, so that a worker loads them once instead of once for each file.
    isolate: false,
    // Tests wait longer than they compute.
    maxWorkers: 3 * availableParallelism(),
    sequence: { sequencer: WaitingFirst },
    testTimeout: isLong ? 180_000 : 60_000,
    hookTimeout: 60_000,
  },
});
