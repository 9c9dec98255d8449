import { afterAll, expect, it } from "vitest"
import { executorText } from "../../src/python/executor-text.ts"
import { pythonSandbox } from "../../src/python/sandbox.ts"

// An interrupt may come late on a machine with other work; a death in its place would be another outcome.
const sandbox = pythonSandbox({ limits: { graceMs: 30_000 } })
afterAll(() => sandbox.close())

const text = async (code: string, session = "text") => executorText(await sandbox.run(code, { session }), 12_000)

it("answers in the trained executor form", async () => {
  expect(await text("print(6 * 7)")).toBe("completed\n[stdout]\n42\n\n[/stdout]")
  expect(await text("x = 1")).toBe("completed")
  expect(await text("print('a', end='')\n'b'")).toBe("completed\n[stdout]\na\n'b'\n\n[/stdout]")
})

it("shows the traceback of failed code, with no path of the host", async () => {
  expect(await text("def divide(n):\n    return n / 0\nprint('before')\ndivide(1)")).toBe(
    [
      "error\n[stdout]\nbefore\n\n[/stdout]\n[stderr]\nTraceback (most recent call last):",
      '  File "<stdin>", line 4, in <module>\n    divide(1)',
      '  File "<stdin>", line 2, in divide\n    return n / 0',
      "ZeroDivisionError: division by zero\n\n[/stderr]",
    ].join("\n"),
  )
})

it("keeps the state of a session, and none of another", async () => {
  await sandbox.run("secret = 41", { session: "one" })
  expect((await sandbox.run("secret + 1", { session: "one" })).result).toBe("42")
  expect((await sandbox.run("secret", { session: "two" })).error?.message).toBe(
    "NameError: name 'secret' is not defined",
  )
})

it("stops a loop, keeps what the code made and says so", async () => {
  const outcome = await sandbox.run("kept = 7\nwhile True: pass", { session: "loop", timeoutMs: 1_000 })
  expect(outcome.status).toBe("timeout")
  expect((await sandbox.run("kept", { session: "loop" })).result).toBe("7")
})

it("refuses code that no frame could carry, and goes on", async () => {
  const code = "#".repeat(9 * 1024 * 1024)
  await expect(sandbox.run(code, { session: "long" })).rejects.toMatchObject({ reason: "too-large" })
  expect((await sandbox.run("1 + 1", { session: "long" })).result).toBe("2")
})

it("gives a session a fresh interpreter after its own died", async () => {
  const outcome = await sandbox.run("import os\nos._exit(3)", { session: "dead" })
  expect(outcome).toMatchObject({ status: "died", error: { cause: "exit" } })
  expect((await sandbox.run("1 + 1", { session: "dead" })).result).toBe("2")
})
