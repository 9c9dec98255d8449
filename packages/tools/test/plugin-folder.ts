/** Plugins in a temporary folder, for tests of their check, their loading and their tools. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { JsonObject, JsonValue, Tool } from "@chasqui/core"
import { toolContext } from "./tool-context.ts"

export const root = mkdtempSync(join(tmpdir(), "plugins-"))
export const removeAll = (): void => rmSync(root, { recursive: true })
let count = 0

/** A folder with these files; objects are written as JSON. */
export function folderWith(files: { readonly [name: string]: string | object }): string {
  const folder = join(root, `plugin-${count++}`)
  mkdirSync(folder)
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(folder, name), typeof content === "string" ? content : JSON.stringify(content, null, 2))
  }
  return folder
}

export const city = {
  type: "object",
  properties: { city: { type: "string", description: "City" } },
  required: ["city"],
}
export const manifestWith = (run: object, rest: object = {}, config?: object) => ({
  manifest: 1,
  name: "sample",
  ...(config && { config: { type: "object", properties: config } }),
  tools: [{ name: "look_up", description: "Looks up", input: city, ...rest, run }],
})
export const call = async (tool: Tool | undefined, input: JsonObject, signal?: AbortSignal): Promise<JsonValue> =>
  tool!.execute(input as never, toolContext(signal)) as Promise<JsonValue>
