// How often an agent on the tiny model is right, free-running: the project's engine, loop and tools, nothing given but the question.
// Run after `pnpm build`: node bench/eval-tiny.mjs [--cases FILE] [--model DIR] [--json] [--limit N]
import { parseArgs } from "node:util"
import { CasesError, readCases } from "./tiny-cases.mjs"
import { episodes } from "./tiny-episode.mjs"

const help = `Usage: eval:tiny [options]

Runs each case through an agent and says whether it called and answered as expected.

  --cases FILE   JSON lines {"id", "question", "system"?, "builtin_tools"?, "documents"?: {title: text}, "tools"?: [{"schema",
                 "result"}], "expectCalls"?: [{"name", "arguments"?}], "expectAnswer"?: ["substring"…]}, each with pass or fail
                 (default: bench/tiny-cases.jsonl, one table for all)
  --model DIR    another checkpoint in Hugging Face layout
  --limit N      only the first N cases of each group
  --json         one line of JSON per case on standard output, and nothing else

The part of an id before its last "-" is its group. Further keys of a case: "date", "tools_in_user_message", and for a tool
"results": [{"arguments", "result"}] where its result depends on the call.

Exit codes: 0 done, 1 a case of --cases failed or the evaluation did, 2 wrong usage.
`

const options = {
  cases: { type: "string" },
  model: { type: "string" },
  limit: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
}

async function main() {
  const given = parseArgs({ options }).values
  if (given.help) return void process.stdout.write(help)
  const limit = given.limit === undefined ? Number.POSITIVE_INFINITY : Number(given.limit)
  if (!(limit > 0)) throw new CasesError(`--limit takes a number above 0, not ${given.limit}.`)
  const file = given.cases ?? new URL("tiny-cases.jsonl", import.meta.url)
  const cases = firstOfEachGroup(await readCases(file), limit)
  const table = new Map()
  let failed = 0
  for await (const outcome of episodes(cases, given.model)) {
    const right = outcome.callsRight && outcome.answerRight
    if (!right) failed++
    count(table, outcome)
    if (given.json) console.log(JSON.stringify(outcome))
    else if (given.cases !== undefined) console.log(lineOf(outcome, right))
  }
  if (!given.json) console.log(tableText(table))
  if (given.cases !== undefined && failed > 0) process.exitCode = 1
}

const groupOf = ({ id }) => (id.includes("-") ? id.slice(0, id.lastIndexOf("-")) : id)

function firstOfEachGroup(cases, limit) {
  const seen = new Map()
  return cases.filter((one) => {
    const group = groupOf(one)
    seen.set(group, (seen.get(group) ?? 0) + 1)
    return seen.get(group) <= limit
  })
}

function count(table, outcome) {
  const row = table.get(groupOf(outcome)) ?? { cases: 0, calls: 0, episodes: 0 }
  row.cases++
  if (outcome.callsRight) row.calls++
  if (outcome.callsRight && outcome.answerRight) row.episodes++
  table.set(groupOf(outcome), row)
}

function lineOf(outcome, right) {
  if (right) return `pass  ${outcome.id}`
  const came = [
    ...outcome.calls.map(({ name, arguments: input }) => `      called   ${name} ${JSON.stringify(input)}`),
    `      answered ${JSON.stringify(shortened(outcome.answer))} (${outcome.stopReason})`,
  ]
  const wanted = [
    ...(outcome.expectCalls ?? []).map(
      ({ name, arguments: input }) => `      expected ${name} ${JSON.stringify(input) ?? ""}`,
    ),
    ...(outcome.expectAnswer ?? []).map((part) => `      expected ${JSON.stringify(part)}`),
  ]
  return [`FAIL  ${outcome.id}: ${outcome.question}`, ...came, ...wanted].join("\n")
}

/** A small model that is lost repeats itself. */
const shortened = (text) => (text.length > 200 ? `${text.slice(0, 200)}…` : text)

function tableText(table) {
  const percent = (part, whole) => `${((100 * part) / whole).toFixed(0)} %`.padStart(9)
  const rows = [...table].map(
    ([group, { cases, calls, episodes: right }]) =>
      `${group.padEnd(24)}${String(cases).padStart(6)}${percent(calls, cases)}${percent(right, cases)}`,
  )
  return [`${"".padEnd(24)}${"cases".padStart(6)}${"calls".padStart(9)}${"episodes".padStart(9)}`, ...rows].join("\n")
}

try {
  await main()
} catch (error) {
  const usage = error instanceof CasesError || error.code?.startsWith("ERR_PARSE_ARGS")
  console.error(`eval:tiny: ${error.message}`)
  process.exitCode = usage ? 2 : 1
}
