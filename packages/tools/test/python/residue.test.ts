/** What one call or session could leave behind for the next one, and for its neighbours. */
import { readFileSync } from "node:fs"
import { afterAll, describe, expect, it } from "vitest"
import { pythonSandbox } from "../../src/python/sandbox.ts"

const sandbox = pythonSandbox({ limits: { timeoutMs: 90_000, graceMs: 300 } })
afterAll(() => sandbox.close())
const run = (session: string, code: string, timeoutMs = 90_000) => sandbox.run(code, { session, timeoutMs })

describe("nothing is left behind by", () => {
  it("a finalizer that never ends: nothing runs between calls", async () => {
    const code = `
from pyodide.ffi import create_proxy, to_js
class Endless:
    def __call__(self): pass
    def __del__(self):
        while True: pass
holder = to_js({"x": 1})
for _ in range(3): holder.x = create_proxy(Endless())
holder.x = 1
keep = [to_js(list(range(300_000))) for _ in range(30)]
1`
    expect(await run("finalizer", code)).toMatchObject({ status: "completed", result: "1" })
    // V8's collector gets its turn; a loop in a callback of its would hold the interpreter when the next call comes.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(await run("finalizer", "2")).toMatchObject({ status: "completed", result: "2" })
  })

  it("a change of the standard library's archive, in this process's other sessions", async () => {
    const path = "/lib/python314.zip"
    const before = (await run("reader", `import zlib; zlib.crc32(open('${path}', 'rb').read())`)).result
    const change = await run("writer", `f = open('${path}', 'r+b'); n = f.write(b'EVIL' * 500_000); f.close(); n`)
    expect(change.result).toBe("2000000")
    for (const session of ["reader", "new"])
      expect((await run(session, `import zlib; zlib.crc32(open('${path}', 'rb').read())`)).result).toBe(before)
    expect((await run("new", "import wave; wave.__name__")).result).toBe("'wave'")
  })

  it("a secret of an earlier session, in the whole memory of the next one", async () => {
    const secret = "(b'top' + b'-secret-') * 3"
    await run("first", `keep = [${secret} for _ in range(50_000)]\nopen('note', 'wb').write(${secret})`)
    sandbox.endSession("first")
    // The search makes the text itself, so a few copies are its own.
    const search = `import ctypes, os\nctypes.string_at(1, 30_000_000).count(${secret}) < 100, os.listdir()`
    expect((await run("second", search)).result).toBe("(True, [])")
  })

  it("the random state of the snapshot: no two sessions draw the same", async () => {
    const draw =
      "import os, random, secrets, uuid\n[random.random(), os.urandom(8), secrets.token_hex(8), str(uuid.uuid4()), open('/dev/urandom', 'rb', 0).read(8)]"
    const draws = await Promise.all(["r1", "r2", "r3"].map(async (session) => (await run(session, draw)).result))
    const texts = draws.flatMap((each) => (each ?? "").slice(1, -1).split(", "))
    expect(new Set(texts).size).toBe(15)
  })

  it("a call that was aborted while it printed, in the output of the next one", async () => {
    const abort = new AbortController()
    const code = "import sys\nwhile True: print('old'); sys.stderr.write('old')"
    const call = sandbox.run(code, { session: "printer", signal: abort.signal, onOutput: () => abort.abort() })
    await expect(call).rejects.toThrow()
    expect(await run("printer", "print('new')")).toMatchObject({ status: "completed", stdout: "new\n", stderr: "" })
  })

  it("a removed working folder: the session goes on, and can be given files again", async () => {
    expect(await run("folder", "x = 1\nimport os, shutil; os.chdir('/'); shutil.rmtree('/home/user')")).toMatchObject({
      status: "completed",
      artifacts: [],
    })
    await sandbox.put("folder", "a.txt", new TextEncoder().encode("back"))
    expect((await run("folder", "x, open('/home/user/a.txt').read()")).result).toBe("(1, 'back')")
  })
})

it("keeps the state however early or late in a call the abort comes", async () => {
  const codes = [
    "while True: pass",
    "import time; time.sleep(60)",
    "await __import__('asyncio').sleep(60)",
    "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E",
    "import sys\nclass S:\n  def write(self, text): return len(text)\n  def flush(self):\n    while True: pass\nsys.stdout = S()",
    "1 / 0",
  ]
  // Never dies of impatience: a late interrupt on a machine with other work would cost the state.
  await using patient = pythonSandbox({ limits: { timeoutMs: 60_000, graceMs: 60_000 } })
  await patient.run("kept = 7")
  for (let turn = 0; turn < 60; turn++) {
    const abort = new AbortController()
    const code = codes[turn % codes.length]!
    const call = patient.run(code, { signal: abort.signal }).catch(() => undefined)
    // Turns of the event loop, not a clock: 0 to 9 of them, then some that let the code come to run.
    for (let i = 0; i < (turn % 10) + (turn > 40 ? 100 : 0); i++) await new Promise((resolve) => setImmediate(resolve))
    abort.abort()
    await call
    expect([turn, (await patient.run("kept")).result]).toEqual([turn, "7"])
  }
})

const children = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number)

describe.skipIf(process.platform !== "linux")("a process for each session", () => {
  it("ends with its interpreter, so that deaths leave no processes behind", async () => {
    await using own = pythonSandbox({ processPer: "session", spares: 0 })
    const before = children(process.pid).length
    for (let i = 0; i < 3; i++) {
      expect((await own.run("import os; os.abort()", { session: "a" })).status).toBe("died")
      await own.run("1", { session: "a" })
    }
    expect(children(process.pid).length - before).toBeLessThanOrEqual(2) // the last one, and one that is about to be gone
  })

  it("keeps even a loop within V8, which nothing can interrupt, from its neighbours", async () => {
    await using own = pythonSandbox({ processPer: "session", spares: 0, limits: { timeoutMs: 30_000, graceMs: 100 } })
    await own.run("neighbour = 'unharmed'", { session: "neighbour" })
    const array =
      "from pyodide.ffi import to_js\na = to_js([1]).constructor.new(100_000_000)\na.fill(1)\nwhile True: pass"
    expect((await own.run(array, { session: "attacker", timeoutMs: 300 })).status).toBe("died")
    expect((await own.run("neighbour", { session: "neighbour" })).result).toBe("'unharmed'")
    expect((await own.run("1", { session: "attacker" })).result).toBe("1")
  })
})
