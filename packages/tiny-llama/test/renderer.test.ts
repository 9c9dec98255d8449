/** The model was trained on the text of recipe/render.py and meets that of `chasqui render`: they have to be the same. */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { text } from "node:stream/consumers"
import { fileURLToPath } from "node:url"
import { expect, it } from "vitest"

interface Golden {
  messages: object[]
  variables: object
  text: string
}

it("renders conversations as the training text has them", async () => {
  const golden: Golden[] = JSON.parse(readFileSync(new URL("template.json", import.meta.url), "utf8"))
  const program = fileURLToPath(new URL("../../chasqui/bin/chasqui.mjs", import.meta.url))
  const child = spawn(process.execPath, [program, "render"], { stdio: ["pipe", "pipe", "inherit"] })
  child.stdin.end(golden.map(({ messages, variables }) => `${JSON.stringify({ messages, ...variables })}\n`).join(""))
  const lines = (await text(child.stdout)).trim().split("\n")
  expect(lines.map((line) => JSON.parse(line))).toEqual(golden.map(({ text: prompt }) => ({ prompt })))
})
