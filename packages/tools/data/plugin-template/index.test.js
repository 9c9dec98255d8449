import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import * as plugin from "./index.js"

const manifest = JSON.parse(readFileSync(new URL("./chasqui.json", import.meta.url), "utf8"))
const context = { config: { greeting: "Hello" }, signal: new AbortController().signal }

test("every tool of the manifest is a function of this module", () => {
  const exported = new Map(Object.entries(plugin))
  for (const { name, run } of manifest.tools) assert.equal(typeof exported.get(run.module.export ?? name), "function")
})

test("greets as often as asked", async () => {
  assert.deepEqual(await plugin.greet({ person: "Ada", times: 2 }, context), { greeting: "Hello, Ada! Hello, Ada!" })
})

test("says what is wrong in words for the model", async () => {
  await assert.rejects(plugin.greet({ person: "nobody", times: 1 }, context), { _tag: "ToolFailed" })
})
