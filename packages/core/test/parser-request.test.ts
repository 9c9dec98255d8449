import { describe, expect, it } from "vitest"
import { ParseRequestError, parseRequest } from "../src/parser-request.ts"

const raw = 'Sure. {"name": "get_weather", "parameters": {"city": "Paris"}}<|eot_id|>'

describe("a request to parse", () => {
  it("gets text, calls, stop and completeness", () => {
    expect(parseRequest({ raw, tools: ["get_weather"] })).toEqual({
      text: "Sure.",
      toolCalls: [{ name: "get_weather", arguments: { city: "Paris" } }],
      stop: "eot",
      complete: true,
    })
  })

  it.each([
    ["a name", "get_weather"],
    ["a definition", { name: "get_weather", description: "", parameters: { type: "object" } }],
    ["a wrapped definition", { type: "function", function: { name: "get_weather", parameters: {} } }],
  ])("takes %s as a tool", (_, tool) => {
    expect(parseRequest({ raw, tools: [tool] }).toolCalls).toHaveLength(1)
  })

  it("lists the events when asked, the same for any chunks", () => {
    const events = [
      { type: "text-start" },
      { type: "text-delta", delta: "Sure." },
      { type: "text-end" },
      { type: "tool-call-start", id: "call-0", name: "get_weather", syntax: "json-call" },
      { type: "tool-call-delta", id: "call-0", delta: '{"city": "Paris"}' },
      {
        type: "tool-call-end",
        call: { id: "call-0", name: "get_weather", input: { city: "Paris" }, syntax: "json-call" },
      },
    ]
    expect(parseRequest({ raw, tools: ["get_weather"], events: true }).events).toEqual(events)
    const chunks = [raw.slice(0, 5), raw.slice(5, -4), raw.slice(-4)]
    expect(parseRequest({ raw, chunks, tools: ["get_weather"], events: true }).events).toEqual(events)
  })

  it("shows what was meant as a call, and leaves its text in the text", () => {
    expect(parseRequest({ raw: '{"name": "f", "parameters": {a}}', tools: ["f"], finish: "stop" })).toEqual({
      text: '{"name": "f", "parameters": {a}}',
      toolCalls: [],
      stop: null,
      complete: true,
      invalid: [
        {
          name: "f",
          raw: '{"name": "f", "parameters": {a}}',
          problem:
            'The JSON is broken at line 1, column 30 (character 29) of the call: expected a key in double quotes or "}", found "a".',
        },
      ],
    })
  })

  it("takes null for an absent field", () => {
    const request = { raw: "Hi", tools: null, builtin_tools: null, finish: null, chunks: null, events: null }
    expect(parseRequest(request)).toEqual(parseRequest({ raw: "Hi" }))
  })

  it("is incomplete without a stop token, unless the finish says stop", () => {
    expect(parseRequest({ raw: "Hi" })).toEqual({ text: "Hi", toolCalls: [], stop: null, complete: false })
    expect(parseRequest({ raw: "Hi", finish: "stop" }).complete).toBe(true)
  })

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a list", []],
    ["no raw", {}],
    ["raw of another type", { raw: 5 }],
    ["raw that is null", { raw: null }],
    ["tools that are no list", { raw, tools: "get_weather" }],
    ["a tool without a name", { raw, tools: [{}] }],
    ["an empty name", { raw, tools: [""] }],
    ["built-in tools that are no names", { raw, builtin_tools: [1] }],
    ["another finish", { raw, finish: "eos" }],
    ["chunks that are not the text", { raw, chunks: ["a"] }],
    ["events of another type", { raw, events: "yes" }],
  ])("refuses %s with what it must be", (_, request) => {
    expect(() => parseRequest(request)).toThrow(ParseRequestError)
    expect(() => parseRequest(request)).toThrow(/is not .+\. Give an object/)
  })
})
