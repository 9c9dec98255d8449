import { describe, expect, it } from "vitest"
import type { ParserEvent } from "../src/event.ts"
import { type ParserInput, type ParserOptions, parser } from "../src/parser.ts"
import { specialTokens } from "../src/special-tokens.ts"

const options: ParserOptions = {
  tools: ["get_weather", "get_time"],
  builtinTools: ["brave_search", "wolfram_alpha", "code_interpreter"],
}
const tag = { special: specialTokens.pythonTag }
const eom = { special: specialTokens.eom }
const eot = { special: specialTokens.eot }

/** The events of each push, one list per piece. */
function steps(inputs: readonly (string | ParserInput)[], given: ParserOptions = options): ParserEvent[][] {
  const reading = parser(given)
  return inputs.map((input) => [...reading.push(typeof input === "string" ? { text: input } : input)])
}

describe("streaming", () => {
  it("gives prose as it comes, and holds back white space that may only separate it from a call", () => {
    expect(steps(["Hello", " there. ", "\n", eot])).toEqual([
      [{ type: "text-start" }, { type: "text-delta", delta: "Hello" }],
      [{ type: "text-delta", delta: " there." }],
      [],
      [{ type: "text-delta", delta: " \n" }, { type: "text-end" }],
    ])
  })

  it("announces a JSON call at its input, and then gives the input as it comes", () => {
    const call = { id: "call-0", name: "get_weather", syntax: "json-call" } as const
    expect(steps(['{"name": "get_', 'weather", "param', 'eters": {"city": "Pa', 'ris"', "}", "}", eot])).toEqual([
      [],
      [],
      [
        { type: "tool-call-start", ...call },
        { type: "tool-call-delta", id: "call-0", delta: '{"city": "Pa' },
      ],
      [{ type: "tool-call-delta", id: "call-0", delta: 'ris"' }],
      [{ type: "tool-call-delta", id: "call-0", delta: "}" }],
      [{ type: "tool-call-end", call: { ...call, input: { city: "Paris" } } }],
      [],
    ])
  })

  it("gives code after the tag as it comes, as the JSON of its input", () => {
    const call = { id: "call-0", name: "code_interpreter", syntax: "python-code" } as const
    expect(steps(["I compute. ", tag, "import math", '\nprint("', 'a")\n', eom])).toEqual([
      [{ type: "text-start" }, { type: "text-delta", delta: "I compute." }],
      [],
      [
        { type: "text-end" },
        { type: "tool-call-start", ...call },
        { type: "tool-call-delta", id: "call-0", delta: '{"code": "import math' },
      ],
      [{ type: "tool-call-delta", id: "call-0", delta: '\\nprint(\\"' }],
      [{ type: "tool-call-delta", id: "call-0", delta: 'a\\")' }],
      [
        { type: "tool-call-delta", id: "call-0", delta: '"}' },
        { type: "tool-call-end", call: { ...call, input: { code: 'import math\nprint("a")' } } },
      ],
    ])
  })

  it("announces a built-in call at its first argument where it cannot be code", () => {
    const given: ParserOptions = { tools: [], builtinTools: ["brave_search"] }
    const call = { id: "call-7", name: "brave_search", syntax: "builtin-call" } as const
    expect(steps([tag, "brave_search.call(", 'query="Menlo', ' Park")', eom], { ...given, firstCall: 7 })).toEqual([
      [],
      [],
      [
        { type: "tool-call-start", ...call },
        { type: "tool-call-delta", id: "call-7", delta: '{"query": "Menlo' },
      ],
      [
        { type: "tool-call-delta", id: "call-7", delta: ' Park"}' },
        { type: "tool-call-end", call: { ...call, input: { query: "Menlo Park" } } },
      ],
      [],
    ])
  })

  it("waits for the whole text after the tag where a call may be the first line of a program", () => {
    const built = steps([tag, 'brave_search.call(query="x")', eom])
    expect(built.map((events) => events.map((event) => event.type))).toEqual([
      [],
      [],
      ["tool-call-start", "tool-call-delta", "tool-call-end"],
    ])
    const reading = parser(options)
    for (const input of [tag, { text: 'brave_search.call(query="x")' }, { text: "\nprint(1)" }, eom])
      reading.push(input)
    expect(reading.end("stop-token").turn.toolCalls).toEqual([
      {
        id: "call-0",
        name: "code_interpreter",
        syntax: "python-code",
        input: { code: 'brave_search.call(query="x")\nprint(1)' },
      },
    ])
  })

  it("releases text that only looked like a call as soon as it cannot be one", () => {
    expect(steps(["a ", "{", '"na', 'me": "Bob"', "}", " and more", eot])).toEqual([
      [{ type: "text-start" }, { type: "text-delta", delta: "a" }],
      [],
      [],
      [{ type: "text-delta", delta: ' {"name": "Bob"' }],
      [{ type: "text-delta", delta: "}" }],
      [{ type: "text-delta", delta: " and more" }],
      [{ type: "text-end" }],
    ])
  })

  it("never splits a character of two units", () => {
    expect(steps(["\ud83d", "\ude00!", eot])).toEqual([
      [],
      [{ type: "text-start" }, { type: "text-delta", delta: "😀!" }],
      [{ type: "text-end" }],
    ])
  })

  it("takes nothing after a stop token", () => {
    expect(steps(["Hi", eot, "more", tag]).slice(2)).toEqual([[], []])
  })
})

describe("the end of a turn", () => {
  it("reports a call that was cut off, and does not complete it", () => {
    const reading = parser(options)
    reading.push({ text: '{"name": "get_weather", "parameters": {"city": "Par' })
    const { events, turn } = reading.end("max-tokens")
    expect(events.map((event) => event.type)).toEqual(["tool-call-invalid"])
    expect(turn).toMatchObject({ content: "", toolCalls: [], stop: null, end: "length", complete: false })
    expect(turn.invalidCalls).toMatchObject([
      { id: "call-0", name: "get_weather", raw: '{"name": "get_weather", "parameters": {"city": "Par' },
    ])
  })

  it("reports code that was cut off", () => {
    const reading = parser(options)
    reading.push(tag)
    reading.push({ text: "import os\nos.remove(" })
    expect(reading.end("aborted").turn).toMatchObject({
      toolCalls: [],
      invalidCalls: [{ name: "code_interpreter", raw: "import os\nos.remove(" }],
      end: "aborted",
      complete: false,
    })
  })

  it("says where JSON broke and what was expected there", () => {
    const reading = parser(options)
    reading.push({ text: '{"name": "get_weather",\n "parameters": {"city": Paris}}' })
    reading.push(eot)
    expect(reading.end("stop-token").turn.invalidCalls).toMatchObject([
      { problem: 'The JSON is broken at line 2, column 25 (character 48) of the call: expected a value, found "P".' },
    ])
  })

  it("takes the stop token's word over the reason", () => {
    const reading = parser(options)
    reading.push({ text: "Done." })
    reading.push({ special: specialTokens.endOfText })
    expect(reading.end("max-tokens").turn).toMatchObject({ content: "Done.", stop: "eos", end: "eos", complete: true })
  })
})

it("reads ten thousand calls of one answer in order", () => {
  const reading = parser({ ...options, firstCall: 5 })
  const text = Array.from({ length: 10_000 }, (_, city) => `{"name": "get_weather", "parameters": {"city": ${city}}}`)
  const whole = text.join("; ")
  for (let at = 0; at < whole.length; at += 11) reading.push({ text: whole.slice(at, at + 11) })
  reading.push(eot)
  const { turn } = reading.end("stop-token")
  expect(turn.toolCalls).toHaveLength(10_000)
  expect(turn.toolCalls.at(-1)).toMatchObject({ id: "call-10004", input: { city: 9999 } })
  expect(turn.content).toBe("")
})

describe("options", () => {
  it("reads everything as text when no tool is offered", () => {
    const reading = parser({ tools: [] })
    for (const input of [{ text: "Run " }, tag, { text: '{"name": "f", "parameters": {}}' }, eot]) reading.push(input)
    expect(reading.end("stop-token").turn).toMatchObject({
      content: 'Run {"name": "f", "parameters": {}}',
      toolCalls: [],
    })
  })

  it.each([
    ["untaggedCalls", '{"name": "get_time", "parameters": {}}', 0],
    ["untaggedCalls", 'Sure. {"name": "get_time", "parameters": {}}', 0],
    ["callsAfterProse", '{"name": "get_time", "parameters": {}}', 1],
    ["callsAfterProse", 'Sure. {"name": "get_time", "parameters": {}}', 0],
  ] as const)("%s: text makes %s give %i calls", (option, text, calls) => {
    const reading = parser({ ...options, [option]: "text" })
    reading.push({ text })
    reading.push(eot)
    expect(reading.end("stop-token").turn.toolCalls).toHaveLength(calls)
  })
})
