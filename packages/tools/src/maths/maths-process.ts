/**
 * The program of the child process behind `localMaths`: one line when it is ready, then JSON lines `{ query }` in, `{ pods }`
 * out. It ends with its input, or when an answer takes too long even though its host is gone; it protects nothing else.
 */
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import { createContext, Script } from "node:vm"
import type { MathJsInstance } from "mathjs"
import type { Pod } from "./maths-provider.ts"
import { answerQuery } from "./maths-query.ts"

const [, , library = "mathjs", timeoutMs = "10000"] = process.argv
const { create } = createRequire(import.meta.url)(library) as { create: (config: object) => MathJsInstance }
/** Decimals of 64 digits, so that 2^100 and 0.1 + 0.2 are what they are. */
const math = create({ number: "BigNumber", precision: 64 })
const numeric = create({})
math.createUnit("pound", { definition: "1 lbm", aliases: ["pounds"] })
for (const instance of [math, numeric]) forbid(instance)

process.stdout.write('{"ready":true}\n')
for await (const line of createInterface({ input: process.stdin })) {
  const { query } = JSON.parse(line) as { query: string }
  process.stdout.write(`${JSON.stringify({ pods: withinTime(() => answerQuery(query, { math, numeric })) })}\n`)
}

/** A timer of the JavaScript engine stops what no other timer could; the process then ends with an error. */
function withinTime(answer: () => readonly Pod[] | null): readonly Pod[] | null {
  let pods: readonly Pod[] | null = null
  const run = () => {
    pods = answer()
  }
  new Script("run()").runInContext(createContext({ run }), { timeout: Number(timeoutMs) })
  return pods
}

/** Takes from expressions the functions that would change the library for the questions after them. */
function forbid(instance: MathJsInstance): void {
  const refuse = () => {
    throw new Error("not available")
  }
  instance.import({ import: refuse, createUnit: refuse }, { override: true })
}
