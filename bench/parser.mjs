// What the parser costs: CPU per token, as a share of decoding at 250 tokens/s, and whether it stays linear.
// It fails when anything costs more than 1 %.
// Run after `pnpm run build:ts`: node bench/parser.mjs [--json]
import { parser } from "../packages/core/dist/parser.js"

const charactersPerToken = 4
const tokensPerSecond = 250
const megabyte = 1_000_000

const options = {
  tools: ["get_weather", "get_time"],
  builtinTools: ["brave_search", "wolfram_alpha", "code_interpreter"],
}
const tag = { special: "<|python_tag|>" }
const call = '{"name": "get_weather", "parameters": {"city": "Menlo Park, California", "days": 3}}'
const sentence = "The weather in Menlo Park (California) is sunny, {about} 21 degrees; wind from [north-west]. "
const line = "values = [x * 2 for x in range(10)]  # doubled\nprint(\"sum\", sum(values), 'done')\n"

const fill = (unit, length) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)
const times = (unit, length) => unit.repeat(Math.max(1, Math.round(length / unit.length)))

// Each makes an answer of about so many characters. The second group is made to hurt.
const ordinary = {
  prose: (length) => [fill(sentence, length)],
  "JSON call, long input": (length) => [
    `{"name": "get_weather", "parameters": {"text": "${fill("lorem ipsum \\n", length)}`,
    '"}}',
  ],
  "JSON calls in a row": (length) => [times(`${call}; `, length)],
  "JSON calls after prose": (length) => ["Sure: ", times(`${call}; `, length)],
  "function tags": (length) => [times('<function=get_weather>{"city": "Paris"}</function>\n', length)],
  "pythonic list": (length) => [`[${times('get_weather(city="Paris", days=3), ', length)}get_time()]`],
  "built-in calls": (length) => [tag, times('brave_search.call(query="current weather in Menlo Park")\n', length)],
  code: (length) => [tag, times(line, length)],
}
const hostile = {
  "open braces": (length) => [fill("{", length)],
  "open brackets": (length) => [fill("[", length)],
  "prose of open braces": (length) => ["a ", fill('{"', length)],
  "nested objects": (length) => [fill('{"a":', length)],
  "nested calls, never closed": (length) => [fill('{"name": "get_weather", "parameters": ', length)],
  "nested calls in prose": (length) => ["a ", fill('{"name": "get_weather", "parameters": ', length)],
  "inputs before names, in prose": (length) => ["a ", fill('{"parameters": ', length)],
  "ids, in prose": (length) => ["a ", fill('{"id": "x', length)],
  "broken calls in a row": (length) => [times('{"name": "get_weather", "parameters": {oops}} ', length)],
  "broken calls in prose": (length) => ["a ", times('{"name": "get_weather", "parameters": {oops}} ', length)],
  "calls in prose": (length) => [times(`See ${call} there. `, length)],
  "unknown calls, then prose": (length) => [times('{"name": "nope", "parameters": {}}; ', length), "no"],
  "open lists": (length) => ["a ", fill('[get_weather(city=["', length)],
  "unclosed function tags": (length) => [times('<function=get_weather>{"a": <', length)],
  "names of built-ins": (length) => [fill("brave_search.call(", length)],
  "built-in calls with stray quotes": (length) => [tag, times('brave_search.call(query="a "b" c")\n', length)],
  backticks: (length) => [fill("`", length)],
  "white space": (length) => [fill(" \n", length), "x"],
  escapes: (length) => [`{"name": "get_time", "parameters": {"a": "${fill("\\u0041", length - 5)}`],
  "parentheses in Python": (length) => [`[get_time(a=${fill("(", 250)}${fill("'a',", length)}`],
}

function measure(make, length) {
  const inputs = make(length).flatMap((part) => (typeof part === "string" ? pieces(part) : [part]))
  const start = process.cpuUsage()
  const reading = parser(options)
  let events = 0
  for (const input of inputs) events += reading.push(input).length
  reading.push({ special: "<|eom_id|>" })
  const { turn } = reading.end("stop-token")
  const { user, system } = process.cpuUsage(start)
  return {
    micros: user + system,
    tokens: inputs.length,
    events,
    calls: turn.toolCalls.length,
    invalid: turn.invalidCalls.length,
  }
}

function pieces(text) {
  const inputs = []
  for (let at = 0; at < text.length; at += charactersPerToken)
    inputs.push({ text: text.slice(at, at + charactersPerToken) })
  return inputs
}

const rows = []
for (const [group, cases] of Object.entries({ ordinary, hostile })) {
  for (const [name, make] of Object.entries(cases)) {
    measure(make, megabyte / 8)
    const quarter = Math.min(measure(make, megabyte / 4).micros, measure(make, megabyte / 4).micros)
    const first = measure(make, megabyte)
    const micros = Math.min(first.micros, measure(make, megabyte).micros)
    const perToken = micros / first.tokens
    rows.push({
      group,
      case: name,
      "ms per MB": Math.round(micros / 100) / 10,
      "us per token": Math.round(perToken * 1000) / 1000,
      "% of decode": Math.round((perToken * tokensPerSecond) / 100) / 100,
      "x for 4x the length": Math.round((micros / quarter) * 10) / 10,
      calls: first.calls,
      invalid: first.invalid,
    })
  }
}

const tenThousand = measure(() => [`${call}; `.repeat(10_000)], 0)
const summary = {
  "10,000 calls, ms": Math.round(tenThousand.micros / 100) / 10,
  "10,000 calls, read": tenThousand.calls,
  "worst ordinary, % of decode": Math.max(
    ...rows.filter((row) => row.group === "ordinary").map((row) => row["% of decode"]),
  ),
  "worst of all, % of decode": Math.max(...rows.map((row) => row["% of decode"])),
  "worst growth for 4x the length": Math.max(...rows.map((row) => row["x for 4x the length"])),
  node: process.version,
}
if (summary["worst of all, % of decode"] > 1) process.exitCode = 1
if (process.argv.includes("--json")) console.log(JSON.stringify({ rows, summary }, null, 2))
else {
  console.table(rows)
  console.table(summary)
}
