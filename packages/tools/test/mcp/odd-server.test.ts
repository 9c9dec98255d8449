/** Our client against servers that do not behave. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { mcp } from "../../src/index.ts"
import { toolContext } from "../tool-context.ts"

const folder = mkdtempSync(join(tmpdir(), "odd-"))
afterAll(() => rmSync(folder, { recursive: true }))
const program = fileURLToPath(new URL("odd-server.ts", import.meta.url))
const open = (behaviour: string, file = "", connectTimeoutMs = 15_000) =>
  mcp.stdio(process.execPath, [program, behaviour, file], { connectTimeoutMs })

describe("a server that does not behave", () => {
  it("has its unusable tools left out, each with the reason", async () => {
    const source = await open("refusals")
    expect(source.tools.map(({ name }) => name)).toEqual(["odd__good"])
    expect(source.refused).toEqual([
      { name: "good", reason: "Another tool of the server has this name." },
      { name: "look_ahead", reason: expect.stringContaining("look-around and back-references are not supported") },
      { name: "remote", reason: expect.stringContaining("points outside the schema") },
      { name: "two words", reason: expect.stringContaining('The tool name "odd__two words" is not usable.') },
    ])
    await source.close()
  })

  it("is spoken to in the older revision that it knows", async () => {
    const source = await open("old")
    expect(source.revision).toBe("2025-06-18")
    expect(await source.tools[0]!.execute({} as never, toolContext())).toBe("done")
    await source.close()
  })

  it("is not trusted again when it comes back with other tools", async () => {
    const file = join(folder, "calls")
    const source = await open("drift", file)
    const act = () => source.tools[0]!.execute({} as never, toolContext())
    await expect(act()).rejects.toThrow("the server odd is not reachable")
    await expect(act()).rejects.toThrow("the tools of the server odd have changed since they were loaded")
    await expect(act()).rejects.toThrow("the tools of the server odd have changed since they were loaded")
    expect(readFileSync(file, "utf8")).toBe("called\n")
    await source.close()
  })

  it.each(["silent", "garbage"])("is given up when it does not speak the protocol: %s", async (behaviour) => {
    await expect(open(behaviour, "", 1_500)).rejects.toThrow(
      expect.objectContaining({ _tag: "ToolSetupError", reason: "unreachable" }),
    )
  })
})
