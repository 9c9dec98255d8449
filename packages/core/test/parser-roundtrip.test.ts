import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type ParserInput, parser } from "../src/parser.ts"
import type { PromptPart } from "../src/prompt-part.ts"
import { specialTokens } from "../src/special-tokens.ts"
import { renderBuiltinCall } from "../src/syntax/builtin-call.ts"
import { renderFunctionTag } from "../src/syntax/function-tag.ts"
import { renderJsonCall } from "../src/syntax/json-call.ts"
import { writePython } from "../src/syntax/literal-python.ts"
import { renderPythonCode } from "../src/syntax/python-code.ts"
import { renderPythonicCalls } from "../src/syntax/pythonic-call.ts"
import type { JsonObject } from "../src/turn.ts"

const seed = 20241124
const numRuns = 400
const builtinTools = ["brave_search", "wolfram_alpha", "code_interpreter"]
const tools = ["get_weather", "spotify.play", "f", "a-b_c.d"]

// Every kind of string: quotes, backslashes, line breaks, control characters, emoji, halves of surrogate pairs.
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({
    unit: fc.constantFrom('"', "'", "\\", "\n", "n", "{", "}", "[", "]", ")", ",", " ", "é", "🦙", "\ud800"),
  }),
  fc.constantFrom("<|python_tag|>", "<|eot_id|>", "</function>", '{"name": "f", "parameters": {}}', '")', '"""'),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    text,
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(text, tie("value"), { maxKeys: 3 }),
  ),
}))
/** An input as JSON carries it: without the two things that JavaScript has and JSON text has not. */
const input = fc.dictionary(text, value, { maxKeys: 4 }).map((plain) => JSON.parse(JSON.stringify(plain)) as JsonObject)
const argumentName = fc.stringMatching(/^[a-z_][a-zA-Z0-9_]{0,8}$/)
const namedInput = fc
  .dictionary(argumentName, value, { maxKeys: 4 })
  .map((plain) => JSON.parse(JSON.stringify(plain)) as JsonObject)

/** What a model with these tools means by these parts, cut into pieces of this size. */
function calls(parts: readonly PromptPart[], pieceLength: number) {
  const reading = parser({ tools, builtinTools })
  for (const part of parts) {
    if ("special" in part) reading.push(part as ParserInput)
    else if ("text" in part) {
      for (let at = 0; at < part.text.length; at += pieceLength) {
        reading.push({ text: part.text.slice(at, at + pieceLength) })
      }
    }
  }
  reading.push({ special: specialTokens.eom })
  const { turn } = reading.end("stop-token")
  expect({ content: turn.content, invalid: turn.invalidCalls }).toEqual({ content: "", invalid: [] })
  return turn.toolCalls.map((call) => ({ name: call.name, input: call.input, syntax: call.syntax }))
}

const pieceLength = fc.constantFrom(1, 2, 7, 1_000_000)

describe("a rendered call is read as the same call", () => {
  it.each(["hf", "hf-3.2", "meta"] as const)("as JSON, dialect %s", (dialect) => {
    const property = fc.property(fc.constantFrom(...tools), input, pieceLength, (name, given, length) => {
      const expected = [{ name, input: given, syntax: "json-call" }]
      expect(calls(renderJsonCall({ name, input: given }, dialect), length)).toEqual(expected)
    })
    fc.assert(property, { seed, numRuns })
  })

  it("as a function tag", () => {
    const property = fc.property(fc.constantFrom(...tools), input, pieceLength, (name, given, length) => {
      const expected = [{ name, input: given, syntax: "function-tag" }]
      expect(calls(renderFunctionTag({ name, input: given }), length)).toEqual(expected)
    })
    fc.assert(property, { seed, numRuns })
  })

  it("as a pythonic list of several calls", () => {
    const call = fc.record({ name: fc.constantFrom(...tools), input: fc.oneof(input, namedInput) })
    const property = fc.property(fc.array(call, { minLength: 1, maxLength: 3 }), pieceLength, (given, length) => {
      const expected = given.map((one) => ({ ...one, syntax: "pythonic-call" }))
      expect(calls(renderPythonicCalls(given), length)).toEqual(expected)
    })
    fc.assert(property, { seed, numRuns })
  })

  it("as a built-in call, written as Python", () => {
    const property = fc.property(
      fc.constantFrom(...builtinTools, ...tools),
      namedInput,
      pieceLength,
      (name, given, length) => {
        const values = Object.entries(given).map(([key, value]) => `${key}=${writePython(value)}`)
        const written = { text: `${name}.call(${values.join(", ")})` }
        const expected = [{ name, input: given, syntax: "builtin-call" }]
        expect(calls([{ special: specialTokens.pythonTag }, written], length)).toEqual(expected)
      },
    )
    fc.assert(property, { seed, numRuns })
  })

  it.each(["hf", "meta"] as const)("as a built-in call of dialect %s, whose text escapes nothing", (dialect) => {
    // The template's text does not say where a value ends: a backslash, or a quote before a comma or a parenthesis, is
    // ambiguous in it.
    const unambiguous = text.filter((one) => !/\\|["'][\s"']*[,)"']|[\ud800-\udfff]|["']\s*$|^\s*["']/.test(one))
    const property = fc.property(
      fc.constantFrom("brave_search", "wolfram_alpha"),
      unambiguous,
      pieceLength,
      (name, query, length) => {
        const expected = [{ name, input: { query }, syntax: "builtin-call" }]
        expect(calls(renderBuiltinCall({ name, input: { query } }, dialect), length)).toEqual(expected)
      },
    )
    fc.assert(property, { seed, numRuns })
  })

  it("as code in the template's form, over several lines", () => {
    const code = fc.array(fc.constantFrom("x = 1", 'print("a\\n", x)', "import os", "s = 'it'", "# é 🦙", "  y"), {
      minLength: 2,
      maxLength: 6,
    })
    const property = fc.property(code, pieceLength, (lines, length) => {
      const call = { name: "code_interpreter", input: { code: lines.join("\n") } }
      expect(calls(renderBuiltinCall(call, "hf"), length)).toEqual([{ ...call, syntax: "builtin-call" }])
    })
    fc.assert(property, { seed, numRuns })
  })

  it("as bare code", () => {
    const property = fc.property(text, pieceLength, (given, length) => {
      const code = `x = 1\n${given}`.replace(/[ \t-\r]+$/, "").toWellFormed()
      const expected = [{ name: "code_interpreter", input: { code }, syntax: "python-code" }]
      expect(calls(renderPythonCode({ input: { code } }), length)).toEqual(expected)
    })
    fc.assert(property, { seed, numRuns })
  })
})
