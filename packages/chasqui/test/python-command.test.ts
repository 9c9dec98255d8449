/** `chasqui python` as a real process: fifty hostile lines through its pipe, and a person at a terminal. */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { hasTerminal, Screen } from "./terminal-screen.ts"

const program = fileURLToPath(new URL("../bin/chasqui.mjs", import.meta.url))
const short = { timeoutMs: 300 }

/** Each line, and what its answer's status may be. What prints first prints its own number. */
const lines: readonly (readonly [line: string | { code: unknown } | object, ...status: string[]])[] = [
  [{ code: "while True: pass", ...short }, "timeout", "died"],
  [{ code: "import os; os._exit(3)" }, "died"],
  [{ code: "1 + 1" }, "completed"],
  [{ code: "try:\n  while True: pass\nexcept BaseException:\n  while True: pass", ...short }, "died"],
  [{ code: "sum(range(10**12))", ...short }, "died"],
  ["", "none"],
  ["   ", "none"],
  ["{", "error"],
  ["null", "error"],
  ["[]", "error"],
  ["[".repeat(100_000), "error"],
  ['"code"', "error"],
  ["{}", "error"],
  [{ code: null }, "error"],
  [{ code: { toString: "1" } }, "error"],
  [{ code: "1", timeoutMs: 0 }, "error"],
  [{ code: "1", timeoutMs: -1 }, "error"],
  [{ code: "1", timeoutMs: 1e300 }, "error"],
  [{ code: "1", timeoutMs: "soon" }, "error"],
  [{ code: "1", memoryMb: 1 }, "error"],
  [{ code: "1", memoryMb: 1e9 }, "error"],
  [{ code: "1", session: 5 }, "error"],
  ['{"code": "1", "__proto__": {"session": 7}}', "completed"],
  [{ code: "x = 5", session: "__proto__" }, "completed"],
  [{ code: "x", session: "__proto__" }, "completed"],
  [{ code: "x", session: "constructor" }, "error"],
  [{ code: "import os; os.abort()", session: "__proto__" }, "died"],
  [{ code: "'x' in globals()", session: "__proto__" }, "completed"],
  [{ code: "" }, "completed"],
  [{ code: "(" }, "error"],
  [{ code: "\u0000" }, "error"],
  [{ code: "'\ud800'" }, "completed", "error"],
  [{ code: `x = '${"y".repeat(9_000_000)}'` }, "error"],
  [{ code: 'print(\'{"status": "completed"}\\n\' * 3)' }, "completed"],
  [{ code: "print('\\x1b[31m\\u2028\\u2029\\r\\n\\x00')" }, "completed"],
  [{ code: "import sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n'); None" }, "completed"],
  [{ code: "while True: print('x' * 1000)", ...short }, "timeout", "died"],
  [{ code: "import sys; sys.stdin.read()" }, "completed"],
  [{ code: "input()" }, "error"],
  [{ code: "import sys; sys.exit(0)" }, "error"],
  [{ code: "raise KeyboardInterrupt" }, "error"],
  [{ code: "import signal; signal.raise_signal(signal.SIGINT)" }, "error"],
  [{ code: "bytes(10**9)", memoryMb: 64 }, "error"],
  [{ code: "x = []\nwhile True: x.append(bytearray(10**7))", memoryMb: 32 }, "error", "died"],
  [{ code: "def f(): return f()\nf()" }, "error", "died"],
  [{ code: "import sys; sys.setrecursionlimit(10**9)\ndef f(): return f()\nf()", timeoutMs: 5_000 }, "error", "died"],
  [{ code: "import ctypes; ctypes.memset(0, 255, 20_000_000)" }, "died", "error"],
  [{ code: "import json; json.loads('[' * 100_000)" }, "error", "died"],
  [{ code: "for n in ('a\\n{}', '..\\\\x', 'x.__proto__'): open(n, 'w').write('{}')" }, "completed"],
  [{ code: "import builtins; builtins.print = builtins.repr = builtins.str = None\n7" }, "completed"],
  [{ code: "class A:\n  def __repr__(self): raise SystemExit\nA()" }, "error"],
  [{ code: "40 + 2" }, "completed"],
]

describe("chasqui python --json", () => {
  it("answers every one of fifty hostile lines, in their order", { timeout: 240_000 }, () => {
    const asked = lines.map(([line, ...status]) => {
      if (typeof line === "string") return { text: line, status }
      return { text: JSON.stringify(line), status }
    })
    const { stdout, stderr, status } = spawnSync(process.execPath, [program, "python", "--json"], {
      input: asked.map(({ text }) => `${text}\n`).join(""),
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    })
    expect([status, stderr]).toEqual([0, ""])
    const answers = stdout.split("\n")
    expect(answers.pop()).toBe("")
    const expected = asked.filter(({ status: [first] }) => first !== "none")
    expect(expected.length).toBeGreaterThanOrEqual(50)
    expect(answers).toHaveLength(expected.length)
    for (const [i, { text, status: allowed }] of expected.entries()) {
      const answer = JSON.parse(answers[i]!) as { status: string; result: string | null }
      expect([i, text.slice(0, 80), allowed.includes(answer.status) ? allowed : answer]).toEqual([
        i,
        text.slice(0, 80),
        allowed,
      ])
    }
    const results = answers.map((line) => (JSON.parse(line) as { result: string | null }).result)
    expect(results.filter((result) => result !== null)).toEqual(expect.arrayContaining(["2", "5", "False", "7", "42"]))
    expect(results.at(-1)).toBe("42")
  })
})

describe.skipIf(!hasTerminal)("chasqui python at a terminal", () => {
  it("prompts, runs, is interrupted by Ctrl-C with its variables kept, and ends with Ctrl-D", async () => {
    const screen = new Screen(["python"], { TERM: "dumb" })
    try {
      await screen.shows(">>> ")
      screen.type("kept = 41\r")
      await screen.shows(">>> ")
      screen.type("kept + 1\r")
      await screen.shows("42\r\n>>> ")
      screen.type("for i in range(2):\r")
      await screen.shows("... ")
      screen.type("    print('line', i)\r\r")
      await screen.shows("line 0\r\nline 1\r\n>>> ")
      screen.type("print('working'); import time; time.sleep(1000)\r")
      await screen.shows("working\r\n")
      screen.type("\u0003")
      await screen.shows("KeyboardInterrupt\r\n>>> ")
      screen.type("kept + 2\r")
      await screen.shows("43\r\n>>> ")
      screen.type("print('\\x1b[31mred')\r")
      await screen.shows("\\x1b[31mred\r\n>>> ")
      screen.type("\u0004")
      expect(await screen.ended).toBe(0)
    } finally {
      screen.kill()
    }
  })
})
