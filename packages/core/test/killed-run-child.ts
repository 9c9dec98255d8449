/**
 * A process that works on a session in a folder and kills itself at a point that its seed names: after so many events, in the
 * middle of a tool, or while the model writes. It tells every event on standard output once the trace has it.
 *
 *   node killed-run-child.ts FOLDER SEED EVENTS|never
 */
import { writeSync } from "node:fs"
import { agent } from "../src/agent.ts"
import { folderStore } from "../src/store-folder.ts"
import { scriptedModel } from "../src/testing.ts"
import { approvalKey, decide, random, script, tools } from "./random-script.ts"

const [, , folder = "", seedText = "", deathText = ""] = process.argv
const dice = random(Number(seedText))
const death = deathText === "never" ? Number.POSITIVE_INFINITY : Number(deathText)
const place = Number(seedText) % 3
let events = 0

const kill = (): void => {
  process.kill(process.pid, "SIGKILL")
  // The signal may take a moment; nothing more happens in this process.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}
function* dying() {
  for (const reply of script(dice)) {
    yield { ...reply, before: () => (place === 1 && events >= death ? kill() : undefined) }
  }
}
const deadly = tools(dice, () => undefined).map((tool) => ({
  ...tool,
  execute: (input: never, context: Parameters<typeof tool.execute>[1]) => {
    if (place === 2 && events >= death) kill()
    return tool.execute(input, context)
  },
}))

const bot = await agent({
  model: scriptedModel(dying()),
  tools: deadly,
  approvalKey,
  store: await folderStore(folder),
  maxSteps: 6,
  onEvent: (event) => {
    writeSync(1, `${JSON.stringify(event)}\n`)
    if (++events >= death && place === 0) kill()
  },
})
for (let turn = 0; turn < 3; turn++) {
  const { pending } = bot
  await (pending ? bot.resume(pending, decide(pending, dice)).result : bot.run("go"))
}
writeSync(1, `${JSON.stringify({ type: "turns", turns: bot.session.turns })}\n`)
await bot.close()
