import { expect, it } from "vitest"
import { type BatchAnswer, pythonBatch } from "../../src/python/batch.ts"
import { pythonRepl } from "../../src/python/repl.ts"

async function* linesOf(...requests: unknown[]) {
  for (const request of requests) yield typeof request === "string" ? request : JSON.stringify(request)
}

it("answers every line, whatever its code does", async () => {
  const lines = linesOf(
    { code: "print('hello'); 6 * 7" },
    { code: "x" },
    { code: "while True: pass", timeoutMs: 150 },
    { code: "import os; os._exit(1)" },
    "this is no JSON",
    "",
    { code: 7 },
    { code: "x = 1", session: "kept" },
    { code: "x + 1", session: "kept" },
    { code: "open('a.csv', 'w').write('1,2')" },
  )
  const answers: BatchAnswer[] = []
  for await (const line of pythonBatch(lines, { limits: { graceMs: 30_000 } }))
    answers.push(JSON.parse(line) as BatchAnswer)
  expect(answers.map(({ ms, ...rest }) => rest)).toEqual([
    { status: "completed", stdout: "hello\n", stderr: "", result: "42", artifacts: [] },
    expect.objectContaining({ status: "error", error: expect.stringContaining("NameError: name 'x' is not defined") }),
    expect.objectContaining({ status: "timeout", error: expect.stringContaining("KeyboardInterrupt") }),
    expect.objectContaining({ status: "died", error: "it ended its own interpreter" }),
    expect.objectContaining({ status: "error", error: "bad request: the line is no JSON" }),
    expect.objectContaining({ status: "error", error: 'bad request: the field "code" must be a string' }),
    expect.objectContaining({ status: "completed", result: null }),
    expect.objectContaining({ status: "completed", result: "2" }),
    {
      status: "completed",
      stdout: "",
      stderr: "",
      result: "3",
      artifacts: [{ path: "a.csv", type: "text/csv", base64: Buffer.from("1,2").toString("base64") }],
    },
  ])
})

it("holds a line to its own memory limit", async () => {
  const code = "len(bytearray(60_000_000))"
  const answers: BatchAnswer[] = []
  for await (const line of pythonBatch(linesOf({ code }, { code, memoryMb: 64 }))) answers.push(JSON.parse(line))
  expect(answers.map(({ result, error }) => result ?? error?.split("\n").at(-2))).toEqual(["60000000", "MemoryError"])
})

it("reads, runs and prints like Python's own prompt", async () => {
  let written = ""
  async function* lines() {
    yield* ["x = 20", "x + 1", "for i in range(2):", "    print(i)", "", "1 / 0", "_", "exit()", "never"]
  }
  await pythonRepl({
    lines: lines(),
    write: (text) => {
      written += text
    },
  })
  expect(written).toBe(
    [
      ">>> >>> 21",
      ">>> ... ... 0",
      "1",
      ">>> Traceback (most recent call last):",
      '  File "<stdin>", line 1, in <module>',
      "    1 / 0",
      "ZeroDivisionError: division by zero",
      ">>> 21",
      ">>> ",
    ].join("\n"),
  )
})
