import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"

// The programs of native/test, as they lie in build/native after `pnpm build:native-tests`.
const folder = fileURLToPath(new URL("../build/native", import.meta.url))

interface Listing {
  readonly tests: readonly { readonly name: string; readonly command?: readonly string[] }[]
}

const listing = JSON.parse(
  execFileSync("ctest", ["--test-dir", folder, "--show-only=json-v1"], { encoding: "utf8" }),
) as Listing

describe("native tests", () => {
  it("are there", () => {
    expect(listing.tests.length).toBeGreaterThan(0)
  })

  for (const { name, command = [] } of listing.tests) {
    it(`${name} passes`, { timeout: 300_000 }, () => {
      const [program = "", ...given] = command
      const { status, stdout, stderr, error } = spawnSync(program, given, { encoding: "utf8", timeout: 290_000 })
      if (error) throw error
      expect(status, `${stdout}${stderr}`).toBe(0)
    })
  }
})
