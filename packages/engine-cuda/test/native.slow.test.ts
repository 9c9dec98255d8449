import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

const packageFolder = fileURLToPath(new URL("..", import.meta.url))

/** Runs a program to its end; rejects with the end of its output if it fails. */
const run = (program: string, given: readonly string[]): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, given, { cwd: packageFolder })
    let output = ""
    const add = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-20_000)
    }
    child.stdout.on("data", add)
    child.stderr.on("data", add)
    child.on("error", reject)
    child.on("close", (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${program} ${given.join(" ")}\n${output}`)),
    )
  })

/** Memory and undefined behaviour everywhere; data races where there is more than one thread. */
const variants = [
  { name: "asan-ubsan", sanitize: "address,undefined", programs: [] },
  {
    name: "tsan",
    sanitize: "thread",
    // engine_test has the overlap: commands from many threads, the next pass prepared beside the running one.
    programs: ["engine_test", "stepper_test", "stepper_rights_test", "thread_pool_test", "forward_test"],
  },
]

describe("native tests under sanitizers", () => {
  for (const { name, sanitize, programs } of variants) {
    it(`pass with -fsanitize=${sanitize}`, async () => {
      const build = `build/${name}`
      await run("cmake", ["-S", ".", "-B", build, `-DCHASQUI_SANITIZE=${sanitize}`])
      await run("cmake", ["--build", build, "--parallel", "2", ...programs.flatMap((program) => ["--target", program])])
      const chosen = programs.length === 0 ? [] : ["-R", `^(${programs.join("|")})$`]
      const output = await run("ctest", ["--test-dir", build, "--output-on-failure", "--parallel", "2", ...chosen])
      expect(output).toContain("100% tests passed")
    })
  }
})

describe("long native tests", () => {
  it("pass", async () => {
    const output = await run("ctest", [
      "--test-dir",
      "build/native",
      "-C",
      "slow",
      "-R",
      "_slow$",
      "--output-on-failure",
    ])
    expect(output).toContain("100% tests passed")
  })
})
