import { afterAll, expect, it } from "vitest"
import { codeInterpreter } from "../../src/code-interpreter.ts"
import { executorText } from "../../src/python/executor-text.ts"
import type { PythonOutcome } from "../../src/python/sandbox.ts"
import { toolContext } from "../tool-context.ts"

const heard: string[] = []
const written: string[] = []
const tool = codeInterpreter({
  start: "now",
  onOutput: ({ sessionId, callId, stream, text }) => heard.push(`${sessionId} ${callId} ${stream} ${text}`),
  onArtifacts: ({ artifacts }) => written.push(...artifacts.map(({ path, type }) => `${path} ${type}`)),
})
afterAll(() => tool.close?.())

const call = async (code: string, sessionId = "a") => {
  const checked = await tool.check({ code })
  if (!checked.ok) throw new Error(checked.problems.join())
  return tool.execute(checked.input as never, { ...toolContext(), sessionId })
}

it("is the trained built-in: its name, one string of code", () => {
  expect([tool.name, tool.builtin]).toEqual(["code_interpreter", true])
  expect(tool.parameters).toMatchObject({ required: ["code"], properties: { code: { type: "string" } } })
})

it("answers as the executor of the model's training did, and keeps the state of a session", async () => {
  expect(await call("n = 6\nprint(n)\nn * 7")).toBe("completed\n[stdout]\n6\n42\n\n[/stdout]")
  expect(await call("n")).toBe("completed\n[stdout]\n6\n\n[/stdout]")
  expect(await call("n", "b")).toContain("error\n[stderr]\nTraceback (most recent call last):")
  expect(heard).toEqual(["a call-0 stdout 6\n"])
})

it("hands over what code prints and writes", async () => {
  await call("open('chart.png', 'wb').write(b'png');")
  expect(written).toEqual(["chart.png image/png"])
})

const outcome: PythonOutcome = {
  status: "completed",
  stdout: "",
  stderr: "",
  truncated: [],
  result: null,
  artifacts: [],
  omittedArtifacts: 0,
  restarted: false,
  ms: 1,
}

it.each([
  [
    "a death",
    { status: "died", error: { message: "it nested too deeply", traceback: "" } },
    "error\n[stderr]\nPython had to be stopped: it nested too deeply. All variables and files are gone.\n\n[/stderr]",
  ],
  [
    "a timeout",
    { status: "timeout", stdout: "1\n" },
    "timeout\n[stdout]\n1\n\n[/stdout]\n[stderr]\nTimeoutError: the code took too long and was stopped. Variables are kept.\n\n[/stderr]",
  ],
  [
    "warnings beside a result",
    { stderr: "careful\n", result: "1" },
    "completed\n[stdout]\n1\n\n[/stdout]\n[stderr]\ncareful\n\n[/stderr]",
  ],
  [
    "long text",
    { stdout: "a".repeat(150) + "b".repeat(150) },
    `completed\n[stdout]\n${"a".repeat(50)}\n[… 200 characters left out …]\n${"b".repeat(50)}\n[/stdout]`,
  ],
] as const)("tells the model of %s", (_, part, text) => {
  expect(executorText({ ...outcome, ...part } as PythonOutcome, 100)).toBe(text)
})
