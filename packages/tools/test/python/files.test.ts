import { afterAll, describe, expect, it } from "vitest"
import { pythonSandbox } from "../../src/python/sandbox.ts"

const sandbox = pythonSandbox({ limits: { artifactBytes: 100_000, artifactCount: 3, storageBytes: 1_000_000 } })
afterAll(() => sandbox.close())
const bytes = (text: string) => new TextEncoder().encode(text)

describe("files", () => {
  it("that the host puts in can be read, and are no artifacts", async () => {
    await sandbox.put("in", "data/values.csv", bytes("1\n2\n3\n"))
    const outcome = await sandbox.run("sum(int(line) for line in open('data/values.csv'))", { session: "in" })
    expect(outcome).toMatchObject({ status: "completed", result: "6", artifacts: [] })
  })

  it("that code writes or changes come back with their type; others do not", async () => {
    const run = async (code: string) => (await sandbox.run(code, { session: "out" })).artifacts
    expect(await run("open('plot.svg', 'w').write('<svg/>'); open('raw', 'wb').write(bytes([0, 255]))")).toEqual([
      { path: "plot.svg", type: "image/svg+xml", bytes: bytes("<svg/>") },
      { path: "raw", type: "application/octet-stream", bytes: Uint8Array.from([0, 255]) },
    ])
    expect(await run("1")).toEqual([])
    expect(await run("open('raw', 'ab').write(b'!')")).toHaveLength(1)
    expect(await run("import os; os.makedirs('a/b'); open('a/b/c.txt', 'w').write('x'); os.remove('raw')")).toEqual([
      { path: "a/b/c.txt", type: "text/plain", bytes: bytes("x") },
    ])
  })

  it("that do not fit are counted and can still be taken one by one", async () => {
    const code = "for i in range(5): open(f'{i}.txt', 'w').write('x')\nopen('big', 'wb').write(bytes(100_001))"
    const outcome = await sandbox.run(code, { session: "many" })
    expect([outcome.artifacts.length, outcome.omittedArtifacts]).toEqual([3, 3])
    expect(await sandbox.take("many", "4.txt")).toEqual(bytes("x"))
    expect(await sandbox.take("many", "big")).toBeNull()
    expect(await sandbox.take("many", "absent")).toBeNull()
  })

  it("belong to their session", async () => {
    await sandbox.put("mine", "note.txt", bytes("secret"))
    expect(await sandbox.take("yours", "note.txt")).toBeNull()
  })

  it("are refused where they do not fit or leave the folder", async () => {
    await expect(sandbox.put("in", "big", new Uint8Array(2_000_000))).rejects.toMatchObject({ reason: "too-large" })
    for (const path of ["../x", "/etc/x", "a\\b", ""]) {
      await expect(sandbox.put("in", path, bytes("x"))).rejects.toMatchObject({ reason: "bad-path" })
      await expect(sandbox.take("in", path)).rejects.toMatchObject({ reason: "bad-path" })
    }
  })
})

describe("output", () => {
  it("is streamed while the code runs", async () => {
    const heard: string[] = []
    const abort = new AbortController()
    const onOutput = (stream: string, text: string) => {
      heard.push(`${stream}: ${text}`)
      abort.abort(new Error("heard"))
    }
    const call = sandbox.run("print('first')\nwhile True: pass", { session: "stream", signal: abort.signal, onOutput })
    await expect(call).rejects.toThrow("heard")
    expect(heard).toEqual(["stdout: first\n"])
  })

  it("is streamed as the outcome has it", async () => {
    let heard = ""
    const onOutput = (stream: string, text: string) => {
      heard += `${stream}: ${text}`
    }
    const outcome = await sandbox.run("print('first')\nprint('second')", { session: "both", onOutput })
    expect(outcome.stdout).toBe("first\nsecond\n")
    expect(heard.replaceAll("stdout: ", "")).toBe(outcome.stdout)
  })

  it("is given to the byte, a mark of byte order and half a character included", async () => {
    const code =
      "import os\nprint('\\ufeffa\\0b\\r\\n\\U0001F30D', end='')\nos.write(1, b'\\xf0\\x9f')\nos.write(1, b'\\x8c\\x8d');"
    expect((await sandbox.run(code, { session: "exact" })).stdout).toBe("\ufeffa\0b\r\n🌍🌍")
  })

  it("is cut at the limit, at a whole character", async () => {
    const outcome = await sandbox.run("print('é' * 100_000)", { session: "cut" })
    expect(outcome).toMatchObject({ status: "completed", truncated: ["stdout"] })
    expect(Buffer.byteLength(outcome.stdout.replace(/\ufffd$/, ""))).toBeLessThanOrEqual(65_536)
  })

  it("that was printed before the end is there when the code never ends", async () => {
    const code = "print('before')\ntry:\n  while True: pass\nexcept BaseException:\n  while True: pass"
    const outcome = await sandbox.run(code, { session: "lost", timeoutMs: 1_000 })
    expect(outcome).toMatchObject({ status: "died", stdout: "before\n", error: { cause: "time" } })
  })
})
