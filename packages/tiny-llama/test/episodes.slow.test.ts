/**
 * Every episode that the numpy forward found right is right through the project's engine, loop and tools: the same calls with
 * the same arguments, and the same answer.
 */
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { expect, it } from "vitest"

interface Episode {
  id: string
  question: string
  system: string
  date: string
  builtinTools?: string[]
  tools?: object[]
  toolsIn?: "user" | "system"
  steps: { call: { name: string; arguments: object }; result: unknown }[]
  answer: string
}

/** Results of a search and of custom functions are those of the episode; Python runs. */
function caseOf({ id, question, system, date, builtinTools, tools = [], toolsIn, steps, answer }: Episode): object {
  const offered = tools.map((schema) => schema as { function: { name: string } })
  const search = { function: { name: "brave_search", parameters: { type: "object", properties: {} } } }
  const scripted = [...offered, ...(builtinTools?.includes("brave_search") ? [search] : [])]
  return {
    id,
    question,
    system,
    date,
    ...(builtinTools && { builtin_tools: builtinTools }),
    tools: scripted.map((schema) => ({
      schema,
      results: steps
        .filter(({ call }) => call.name === schema.function.name)
        .map(({ call, result }) => ({ arguments: call.arguments, result })),
    })),
    tools_in_user_message: toolsIn !== "system",
    expectCalls: steps.map(({ call }) => call),
    expectAnswer: [answer],
  }
}

it("repeats every episode of the numpy forward", { timeout: 600_000 }, async () => {
  const episodes: Episode[] = JSON.parse(readFileSync(new URL("episodes.json", import.meta.url), "utf8"))
  const folder = mkdtempSync(join(tmpdir(), "tiny-episodes-"))
  const file = join(folder, "cases.jsonl")
  writeFileSync(file, episodes.map((episode) => JSON.stringify(caseOf(episode))).join("\n"))
  const program = fileURLToPath(new URL("../../../bench/eval-tiny.mjs", import.meta.url))
  const run = promisify(execFile)(process.execPath, [program, "--cases", file], { maxBuffer: 1e7 })
  const { stdout } = await run.catch((error) => error as { stdout: string })
  rmSync(folder, { recursive: true })
  const verdicts = stdout.split("\n").filter((line: string) => /^(pass|FAIL) /.test(line))
  expect(verdicts).toEqual(episodes.map(({ id }) => `pass  ${id}`))
})
