/** What takes long: every attack twenty times, two thousand calls with flat memory, interpreters that come and go, a damaged snapshot. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { residentBytes } from "../../src/python/resident-memory.ts"
import { pythonSandbox } from "../../src/python/sandbox.ts"
import { attackRange, type Range } from "./attack-run.ts"
import { attacks } from "./attacks.ts"

const folder = mkdtempSync(join(tmpdir(), "chasqui-sandbox-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("twenty times over, the sandbox holds against", () => {
  // Two processes side by side, ten times each: most attacks leave a processor idle for half of their time.
  const ranges = [attackRange(), attackRange()]
  afterAll(() => Promise.all(ranges.map(({ sandbox }) => sandbox.close())))

  it.each(attacks)("$name", async (attack) => {
    const tenTimes = async (range: Range) => {
      for (let i = 0; i < 10; i++) await range.attack(attack)
    }
    await Promise.all(ranges.map(tenTimes))
  })
})

/** Resident MiB of this process and the sandbox processes under it. */
function residentMb(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ")
  return children.reduce((sum, pid) => sum + (residentBytes(Number(pid)) ?? 0), 0) / 2 ** 20
}

describe.skipIf(process.platform !== "linux")("memory stays flat", () => {
  const code =
    "import io, json\nrows = [{'n': i, 'text': 'x' * 100} for i in range(500)]\nprint(len(json.dumps(rows)))\nopen('out.json', 'w').write(json.dumps(rows))"

  it("over two thousand calls of one session", async () => {
    await using sandbox = pythonSandbox({ spares: 0 })
    const run = async (count: number) => {
      for (let i = 0; i < count; i++) expect((await sandbox.run(code)).status).toBe("completed")
    }
    // The heaps of V8 and of Python find their size first.
    await run(2000)
    const before = residentMb()
    await run(2000)
    const after = residentMb()
    console.log(`resident after 2,000 calls ${before.toFixed(0)} MiB, after 4,000 ${after.toFixed(0)} MiB`)
    expect(after - before).toBeLessThan(40)
  })

  it("over a hundred sessions that come and go", async () => {
    await using sandbox = pythonSandbox({ spares: 1 })
    const run = async (from: number, to: number) => {
      for (let i = from; i < to; i++) {
        expect((await sandbox.run(code, { session: `s${i}` })).status).toBe("completed")
        sandbox.endSession(`s${i}`)
      }
    }
    await run(0, 40)
    const before = residentMb()
    await run(40, 140)
    expect(residentMb() - before).toBeLessThan(60)
  })
})

it("makes a damaged snapshot anew", async () => {
  const cacheFolder = join(folder, "sandbox")
  const run = async () => {
    await using sandbox = pythonSandbox({ cacheFolder, spares: 0 })
    return (await sandbox.run("import statistics; statistics.mean([1, 2])")).result
  }
  expect(await run()).toBe("1.5")
  const [name] = readdirSync(cacheFolder).filter((each) => each.endsWith(".snapshot"))
  const path = join(cacheFolder, name!)
  const whole = readFileSync(path)
  writeFileSync(path, whole.subarray(0, 1_000_000))
  expect(await run()).toBe("1.5")
  expect(readFileSync(path).length).toBe(whole.length)
})
