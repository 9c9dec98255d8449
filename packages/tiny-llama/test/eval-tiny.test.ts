/** `pnpm eval:tiny` on a few cases of its own, through the built engine, loop and tools. */
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"

const folder = mkdtempSync(join(tmpdir(), "eval-tiny-"))
afterAll(() => rmSync(folder, { recursive: true }))
const program = fileURLToPath(new URL("../../../bench/eval-tiny.mjs", import.meta.url))

function evaluate(lines: readonly string[], ...options: string[]): Promise<{ code: number; out: string; err: string }> {
  const file = join(folder, "cases.jsonl")
  writeFileSync(file, lines.join("\n"))
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, "--cases", file, ...options], (_, out, err) =>
      resolve({ code: child.exitCode ?? -1, out, err }),
    )
  })
}

const heights = {
  id: "heights-0",
  builtin_tools: ["brave_search", "code_interpreter"],
  documents: { "Mount Everest": "Mount Everest is 8849 meters tall.", "Mount Fuji": "Mount Fuji is 3776 meters tall." },
  question: "What is the difference between the heights of Mount Everest and Mount Fuji?",
  expectCalls: [
    { name: "brave_search", arguments: { query: "Mount Everest height" } },
    { name: "brave_search", arguments: { query: "Mount Fuji height" } },
    { name: "code_interpreter" },
  ],
  expectAnswer: ["5073"],
}
const table = {
  id: "table-0",
  tools: [
    {
      schema: {
        name: "book_table",
        description: "Book a table",
        parameters: {
          type: "object",
          properties: {
            city: { type: "string", description: "The city" },
            people: { type: "integer", description: "Number of people" },
          },
          required: ["city", "people"],
        },
      },
      result: { status: "confirmed" },
    },
  ],
  question: "Please book a table in Paris for 4 people.",
  expectCalls: [{ name: "book_table", arguments: { city: "Paris", people: 4 } }],
  expectAnswer: ["confirmed"],
}

describe("eval:tiny", () => {
  it("passes cases that the model gets right, with real tools and scripted ones", async () => {
    const { code, out } = await evaluate([JSON.stringify(heights), JSON.stringify(table)])
    expect(out.split("\n").slice(0, 2)).toEqual(["pass  heights-0", "pass  table-0"])
    expect(code).toBe(0)
  })

  it("says what came instead where a case fails, and exits 1", async () => {
    const wrong = { ...table, expectCalls: [{ name: "book_table", arguments: { city: "Oslo", people: 4 } }] }
    const { code, out } = await evaluate([JSON.stringify(wrong)])
    expect(out).toContain('      called   book_table {"city":"Paris","people":4}')
    expect(out).toContain('      expected book_table {"city":"Oslo","people":4}')
    expect(code).toBe(1)
  })

  it.each([
    ["a line that is no JSON", "{", "Line 1 is no JSON"],
    ["a case without a question", '{"id": "a"}', 'Line 1 lacks "question"'],
    ["an unknown key", '{"id": "a", "question": "b", "answer": "c"}', 'Line 1 has the unknown key "answer"'],
    ["an unknown built-in tool", '{"id": "a", "question": "b", "builtin_tools": ["bash"]}', 'wrong "builtin_tools"'],
    ["an empty file", "", "holds no case"],
  ])("refuses %s with exit code 2", async (_, line, message) => {
    const { code, err } = await evaluate([line])
    expect(err).toContain(message)
    expect(code).toBe(2)
  })
})
