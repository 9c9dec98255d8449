import { describe, expect, it } from "vitest"
import { pythonJson, pythonNumber, pythonString, pythonStrip } from "../src/prompt-json.ts"

// Expectations: CPython 3.11, `repr`, `str.strip` and `json.dumps`.
describe("numbers are written as Python writes floats", () => {
  it.each([
    [0.1, "0.1"],
    [1e-4, "0.0001"],
    [1.5e-5, "1.5e-05"],
    [-2.5e-7, "-2.5e-07"],
    [1e-10, "1e-10"],
    [123456.789, "123456.789"],
    [5e-324, "5e-324"],
    [1.7976931348623157e308, "1.7976931348623157e+308"],
    [0.30000000000000004, "0.30000000000000004"],
    [1.1e21, "1.1e+21"],
    [3.3e-101, "3.3e-101"],
    [9007199254740991, "9007199254740991"],
    [-0, "0"],
  ])("%d is %s", (value, text) => expect(pythonNumber(value)).toBe(text))
})

it("strips what Python strips, and nothing else", () => {
  const stripped: string[] = []
  for (let code = 0; code < 0x110000; code++) {
    if (code < 0xd800 || code > 0xdfff)
      if (pythonStrip(String.fromCodePoint(code)) === "") stripped.push(code.toString(16))
  }
  expect(stripped.join(" ")).toBe(
    "9 a b c d 1c 1d 1e 1f 20 85 a0 1680 2000 2001 2002 2003 2004 2005 2006 2007 2008 2009 200a 2028 2029 202f 205f 3000",
  )
})

it("prints scalars as str does", () => {
  expect([true, false, null, "a", 4, 1e-7].map(pythonString)).toEqual(["True", "False", "None", "a", "4", "1e-07"])
})

it("escapes as json.dumps does, with and without ensure_ascii", () => {
  const value = { 'k"é': ["\u0000\u001f\u007f\b\t/<>&'\\", "👍\u2028", {}, []] }
  expect(pythonJson(value)).toBe('{"k\\"é": ["\\u0000\\u001f\u007f\\b\\t/<>&\'\\\\", "👍\u2028", {}, []]}')
  expect(pythonJson(value, { nonAscii: "escaped" })).toBe(
    '{"k\\"\\u00e9": ["\\u0000\\u001f\u007f\\b\\t/<>&\'\\\\", "\\ud83d\\udc4d\\u2028", {}, []]}',
  )
  expect(pythonJson(value, { indent: 1 })).toBe(
    '{\n "k\\"é": [\n  "\\u0000\\u001f\u007f\\b\\t/<>&\'\\\\",\n  "👍\u2028",\n  {},\n  []\n ]\n}',
  )
})

it("keeps a key named __proto__", () => {
  expect(pythonJson(JSON.parse('{"__proto__": {"a": 1}}'))).toBe('{"__proto__": {"a": 1}}')
})
