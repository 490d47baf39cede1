import { readFile } from "node:fs/promises";
import { z } from "zod";

const file = new URL("../../Dockerfile", import.meta.url);

type Instruction = { keyword: string; text: string };
export type Stage = { image: string; instructions: Instruction[] };

/** What the engine would take from the last stage. */
export type Image = {
  entrypoint: string[];
  command: string[];
  healthcheck: string[];
  environment: Record<string, string>;
};

export function dockerfileText(): Promise<string> {
  return readFile(file, "utf8");
}

/** The stages, in order. */
export async function dockerfileStages(): Promise<Stage[]> {
  const stages: Stage[] = [];
  for (const instruction of instructionsOf(await dockerfileText())) {
    if (instruction.keyword === "FROM") {
      stages.push({ image: instruction.text.split(" ")[0] ?? "", instructions: [] });
    } else stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

export async function image(): Promise<Image> {
  const instructions = (await dockerfileStages()).at(-1)?.instructions ?? [];
  const last = (keyword: string) => instructions.findLast((one) => one.keyword === keyword)?.text ?? "";
  return {
    entrypoint: wordsOf(last("ENTRYPOINT")),
    command: wordsOf(last("CMD")),
    healthcheck: wordsOf(last("HEALTHCHECK").replace(/^.*?CMD /, "")),
    environment: Object.fromEntries(
      instructions.filter(({ keyword }) => keyword === "ENV").flatMap(({ text }) => pairsOf(text)),
    ),
  };
}

/** `NAME=value`, as ENV and LABEL have them. */
export function pairsOf(text: string): [string, string][] {
  return [...text.matchAll(/([\w.]+)=(?:"([^"]*)"|(\S+))/g)].map(([, name = "", quoted, bare]) => [
    name,
    quoted ?? bare ?? "",
  ]);
}

function instructionsOf(text: string): Instruction[] {
  const lines = text.split("\n").filter((line) => !/^\s*(#|$)/.test(line));
  const joined = lines.join("\n").replaceAll(/\\\n\s*/g, "");
  return joined.split("\n").map((line) => {
    const [, keyword = "", rest = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    return { keyword, text: rest };
  });
}

/** The form that needs no shell: the image may have none, and a shell keeps signals to itself. */
function wordsOf(text: string): string[] {
  return z.array(z.string()).parse(JSON.parse(text));
}
