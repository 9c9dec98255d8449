import { describe, expect, it } from "vitest"
import { executorText } from "../../src/python/executor-text.ts"
import { pythonSandbox } from "../../src/python/sandbox.ts"

describe("a session", () => {
  it("loses its interpreter when too many are needed, and is told so once", async () => {
    await using sandbox = pythonSandbox({ maxSandboxes: 2, spares: 0 })
    await sandbox.run("x = 1", { session: "a" })
    await sandbox.run("x = 2", { session: "b" })
    await sandbox.run("x = 3", { session: "c" })
    const back = await sandbox.run("x", { session: "a" })
    expect(back).toMatchObject({ status: "error", restarted: true })
    expect(executorText(back, 1000)).toContain(
      "Python was restarted before this call: earlier variables and files are gone.",
    )
    expect(await sandbox.run("1", { session: "a" })).toMatchObject({ status: "completed", restarted: false })
    expect(await sandbox.run("x", { session: "c" })).toMatchObject({ result: "3", restarted: false })
  })

  it("waits for an interpreter when all are at work", async () => {
    await using sandbox = pythonSandbox({ maxSandboxes: 1, spares: 0 })
    const calls = ["a", "b", "c"].map((session) =>
      sandbox.run(`import time; time.sleep(0.05); '${session}'`, { session }),
    )
    expect((await Promise.all(calls)).map(({ result }) => result)).toEqual(["'a'", "'b'", "'c'"])
  })

  it("runs its calls in order", async () => {
    await using sandbox = pythonSandbox({ spares: 0 })
    const calls = [1, 2, 3, 4].map((n) => sandbox.run(n === 1 ? "seen = [1]; seen" : `seen.append(${n}); list(seen)`))
    expect((await Promise.all(calls)).map(({ result }) => result)).toEqual([
      "[1]",
      "[1, 2]",
      "[1, 2, 3]",
      "[1, 2, 3, 4]",
    ])
  })

  it("that is new takes the spare that waits for it", async () => {
    await using sandbox = pythonSandbox({ maxSandboxes: 1, spares: 1 })
    await sandbox.warmUp()
    // There is room for one interpreter, and no session to take it from: without the spare this would wait for ever.
    expect((await sandbox.run("1 + 1", { session: "a" })).result).toBe("2")
  })

  it("is wiped when it ends", async () => {
    await using sandbox = pythonSandbox()
    await sandbox.run("x = 1", { session: "a" })
    sandbox.endSession("a")
    expect(await sandbox.run("x", { session: "a" })).toMatchObject({ status: "error", restarted: false })
  })

  it("settles at once when a call is aborted, and goes on with its state", async () => {
    await using sandbox = pythonSandbox({ limits: { graceMs: 30_000 } })
    await sandbox.run("x = 5")
    const abort = new AbortController()
    const call = sandbox.run("while True: pass", { signal: abort.signal })
    setTimeout(() => abort.abort(new Error("enough")), 100)
    await expect(call).rejects.toThrow("enough")
    expect((await sandbox.run("x")).result).toBe("5")
  })

  it("says that its state is gone when an aborted call could not be interrupted", async () => {
    await using sandbox = pythonSandbox({ limits: { graceMs: 200 } })
    await sandbox.run("x = 5")
    const abort = new AbortController()
    const deaf = "while True:\n  try:\n    print('deaf')\n    while True: pass\n  except BaseException: pass"
    const onOutput = () => abort.abort(new Error("enough"))
    const call = sandbox.run(deaf, { signal: abort.signal, onOutput })
    await expect(call).rejects.toThrow("enough")
    const next = await sandbox.run("'x' in globals()")
    expect(next).toMatchObject({ result: "False", restarted: true })
  })

  it("has a process of its own where that is asked for: the death of one leaves the other", async () => {
    await using sandbox = pythonSandbox({ processPer: "session", spares: 0 })
    await sandbox.run("x = 1", { session: "a" })
    await sandbox.run("x = 2", { session: "b" })
    await sandbox.run("import os; os.abort()", { session: "a" })
    expect((await sandbox.run("x", { session: "b" })).result).toBe("2")
  })
})

describe("a sandbox", () => {
  it("says which walls stand", async () => {
    await using sandbox = pythonSandbox({ namespaces: "off", spares: 0 })
    expect(sandbox.walls).toBeUndefined()
    await sandbox.warmUp()
    await sandbox.run("1")
    expect(sandbox.walls).toBe("limits")
  })

  it("refuses to work after it was closed, and closes twice", async () => {
    const sandbox = pythonSandbox()
    await sandbox.run("1")
    await sandbox.close()
    await sandbox.close()
    await expect(sandbox.run("1")).rejects.toMatchObject({ _tag: "SandboxError", reason: "closed" })
  })

  it("ends calls that are under way when it is closed", async () => {
    const sandbox = pythonSandbox({ spares: 0 })
    await sandbox.run("1")
    const call = sandbox.run("while True: pass")
    await new Promise((resolve) => setTimeout(resolve, 50))
    await sandbox.close()
    expect(await call).toMatchObject({ status: "died" })
  })

  it("refuses callers that still wait for an interpreter when it is closed", async () => {
    const sandbox = pythonSandbox({ maxSandboxes: 1, spares: 0 })
    await sandbox.run("1", { session: "a" })
    const working = sandbox.run("while True: pass", { session: "a" })
    const waiting = sandbox.run("1", { session: "b" })
    const queued = sandbox.run("1", { session: "a" })
    const ends = Promise.allSettled([waiting, queued])
    await new Promise((resolve) => setTimeout(resolve, 50))
    await sandbox.close()
    expect((await working).status).toBe("died")
    expect((await ends).map((end) => end.status === "rejected" && end.reason.reason)).toEqual(["closed", "closed"])
  })

  it.each([
    [{ limits: { memoryMb: 8 } }, "memoryMb"],
    [{ limits: { timeoutMs: Number.NaN } }, "timeoutMs"],
    [{ limits: { unknown: 1 } as never }, "unknown"],
    [{ maxSandboxes: 0 }, "maxSandboxes"],
    [{ spares: -1 }, "spares"],
    [{ packages: { folder: "/nowhere/at/all" } }, "cannot be read"],
  ])("refuses options that make no sense: %j", (options, part) => {
    expect(() => pythonSandbox(options)).toThrow(
      expect.objectContaining({ reason: "bad-options", message: expect.stringContaining(part) }),
    )
  })
})
