import { describe, expect, it } from "vitest"
import { parsePieces, randomNumbers, toolSets } from "./answers.ts"

/** The value that a Python literal has as the argument of a pythonic call; undefined where it is refused. */
function python(literal: string): unknown {
  const { turn } = parsePieces([`[search_docs(a=${literal})]`], toolSets.all, "stop")
  return turn.toolCalls[0]?.input.a
}

/** The problem that a broken JSON input is reported with. */
function problem(input: string): string | undefined {
  const { turn } = parsePieces([`{"name": "search_docs", "parameters": ${input}}`], toolSets.all, "stop")
  return turn.invalidCalls[0]?.problem.replace(/^The JSON (?:is broken|ends too soon):? ?/, "")
}

describe("Python literals (what CPython 3.11 evaluates them to)", () => {
  it.each<[string, unknown]>([
    ["'a'", "a"],
    ['"a"', "a"],
    ["'''a'b'''", "a'b"],
    ['"""a"b""c"""', 'a"b""c'],
    ['""', ""],
    ["''''''", ""],
    ['"\\"\\\'\\\\"', "\"'\\"],
    ['"\\a\\b\\f\\n\\r\\t\\v"', "\u0007\b\f\n\r\t\v"],
    ['"\\0\\12\\1234"', "\0\nS4"],
    ['"\\x41\\xe9"', "Aé"],
    ['"\\u00e9\\U0001F999"', "é🦙"],
    ['"\\q\\ "', "\\q\\ "],
    ['"a\\\nb"', "ab"],
    ['"""a\nb"""', "a\nb"],
    ["r'\\n\\''", "\\n\\'"],
    ["R'\\d'", "\\d"],
    ["u'é'", "é"],
    ["'a' 'b'\n\"c\"", "abc"],
    ["'a' r'\\b'", "a\\b"],
    ["('a'\n 'b')", "ab"],
    ["0", 0],
    ["000", 0],
    ["-7", -7],
    ["+7", 7],
    ["1_000_000", 1_000_000],
    ["0xFF", 255],
    ["-0b11", -3],
    ["0O17", 15],
    ["- 5", -5],
    ["[1, \\\n2]", [1, 2]],
    ["1.5", 1.5],
    ["1.", 1],
    [".5", 0.5],
    ["007.5", 7.5],
    ["1e3", 1000],
    ["1_0.0_1e-1_0", 10.01e-10],
    ["True", true],
    ["None", null],
    ["[]", []],
    ["[1,]", [1]],
    ["[[1], [2, [3]]]", [[1], [2, [3]]]],
    ["()", []],
    ["(1,)", [1]],
    ["(1)", 1],
    ["((1, 2), (3,))", [[1, 2], [3]]],
    ["[(1), (2,)]", [1, [2]]],
    ["{}", {}],
    ["{'a': 1, 'b': {'c': [None]},}", { a: 1, b: { c: [null] } }],
    ["{1: 'x', None: 'y', 1.5: 'z'}", { "1": "x", null: "y", "1.5": "z" }],
    ["{'a': (1, 2)}", { a: [1, 2] }],
    ["[1,  # one\n 2]", [1, 2]],
  ])("%s", (literal, value) => {
    expect(python(literal)).toEqual(value)
  })

  it.each([
    "b'a'",
    "rb'a'",
    "f'a'",
    "'a' b'b'",
    "{1, 2}",
    "{'a'}",
    "1j",
    "007",
    "1__0",
    "1_",
    "0x",
    "1e",
    "1e999",
    "--1",
    "1 + 1",
    "0_x1",
    "9".repeat(310),
    `0x${"f".repeat(300)}`,
    "\\1",
    "[1, \\ 2]",
    "x",
    "nan",
    "not True",
    "[1 2]",
    "[,]",
    "(,)",
    "{'a' 1}",
    "{'a': }",
    "{[1]: 2}",
    "'a\nb'",
    "'\\x4'",
    "'\\u12'",
    "'\\U00110000'",
    "'\\N{BULLET}'",
    "'a' if x else 'b'",
    "[i for i in x]",
    "*x",
    "lambda: 1",
    `${"[".repeat(300)}${"]".repeat(300)}`,
  ])("refuses %s", (literal) => {
    expect(python(literal)).toBeUndefined()
  })
})

describe("broken JSON", () => {
  it.each([
    ["{a: 1}", 'at line 1, column 40 (character 39) of the call: expected a key in double quotes or "}", found "a".'],
    ['{"a" 1}', 'at line 1, column 44 (character 43) of the call: expected a ":", found "1".'],
    ['{"a": }', 'at line 1, column 45 (character 44) of the call: expected a value, found "}".'],
    ['{"a": 1 "b": 2}', 'at line 1, column 47 (character 46) of the call: expected "," or "}", found "\\"".'],
    ['{"a": [1 2]}', 'at line 1, column 48 (character 47) of the call: expected "," or "]", found "2".'],
    ['{"a": tru}', 'at line 1, column 48 (character 47) of the call: expected true, found "}".'],
    ['{"a": 01}', 'at line 1, column 47 (character 46) of the call: expected a number in place of 01, found "}".'],
    ['{\n\n "a": 🦙}', 'at line 3, column 7 (character 47) of the call: expected a value, found "🦙".'],
    ['{"a": "\\q"}', 'expected one of "\\/bfnrtu after a backslash, found "q".'],
    ["[]", 'at line 1, column 39 (character 38) of the call: expected an object as the input, found "[".'],
    ['{"a": "b', "expected the closing quote of a string."],
  ])("%s is reported with its place", (input, expected) => {
    expect(problem(input)).toContain(expected)
  })

  it("is refused when it is nested too deep", () => {
    expect(problem(`{"a": ${"[".repeat(300)}${"]".repeat(300)}}`)).toContain("expected at most 256 nested levels")
  })
})

it("takes as JSON what JSON.parse takes, and nothing else", () => {
  const random = randomNumbers(9)
  const scraps = [
    '{"a": ',
    "}",
    "[",
    "]",
    ",",
    ":",
    '"',
    "\\",
    "\\u00e9",
    "1",
    "-",
    ".",
    "e",
    "0",
    "true",
    "nul",
    " ",
    "é",
    "🦙",
    "\u00a0",
    "'",
  ]
  const whole = '{"a": [1, -2.5e-3, {"b": "x\\n"}], "c": {"d": [true, false, null, ""]}, "e": "é🦙"}'
  const seen = { taken: 0, refused: 0 }
  for (let round = 0; round < 5_000; round++) {
    const at = 1 + random(whole.length)
    const cut = whole.slice(0, at) + (scraps[random(scraps.length)] ?? "") + whole.slice(at + random(4))
    const text = cut.toWellFormed()
    const { events, turn } = parsePieces([`{"name": "search_docs", "parameters": ${text}}`], toolSets.all, "length")
    const delta = events.find((event) => event.type === "tool-call-delta")?.delta
    const isTaken = turn.toolCalls.length === 1 && delta === text.replace(/ +$/, "")
    expect(isTaken, text).toBe(isJson(text))
    seen[isTaken ? "taken" : "refused"]++
  }
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(300)
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

it("says what an input that ends too soon still needs", () => {
  const { turn } = parsePieces(['{"name": "search_docs", "parameters": {"a":'], toolSets.all, "stop")
  expect(turn.invalidCalls).toMatchObject([{ problem: "The JSON ends too soon: expected a value." }])
})

it("holds back no more than its limit, and what is longer is text", () => {
  const data = `{"thought": "${"x".repeat(2_100_000)}", "name": "nope", "parameters": {}}`
  const { turn, events } = parsePieces([data.slice(0, 1000), data.slice(1000)], toolSets.all, "stop")
  expect(turn.toolCalls).toEqual([])
  expect(turn.content).toBe(data)
  expect(events).toHaveLength(3)
  const announced = `{"name": "write_file", "parameters": {"text": "${"x".repeat(2_100_000)}"}}`
  expect(parsePieces([announced], toolSets.all, "stop").turn.toolCalls).toHaveLength(1)
})
