/**
 * The program of the child process behind `localMaths`: JSON lines `{ query }` in, `{ pods }` out. It never ends by itself and
 * protects nothing: its host stops it.
 */
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import type { MathJsInstance } from "mathjs"
import { answerQuery } from "./maths-query.ts"

const library = process.argv[2] ?? "mathjs"
const { create } = createRequire(import.meta.url)(library) as { create: (config: object) => MathJsInstance }
/** Decimals of 64 digits, so that 2^100 and 0.1 + 0.2 are what they are. */
const math = create({ number: "BigNumber", precision: 64 })
const numeric = create({})
math.createUnit("pound", { definition: "1 lbm", aliases: ["pounds"] })
for (const instance of [math, numeric]) forbid(instance)

for await (const line of createInterface({ input: process.stdin })) {
  const { query } = JSON.parse(line) as { query: string }
  process.stdout.write(`${JSON.stringify({ pods: answerQuery(query, { math, numeric }) })}\n`)
}

/** Takes from expressions the functions that change the library or run text as an expression. */
function forbid(instance: MathJsInstance): void {
  const refuse = () => {
    throw new Error("not available")
  }
  const names = [
    "import",
    "config",
    "createUnit",
    "evaluate",
    "parse",
    "compile",
    "parser",
    "simplify",
    "derivative",
    "resolve",
  ]
  instance.expression.mathWithTransform satisfies object
  for (const name of names) (instance.expression.mathWithTransform as Record<string, unknown>)[name] = refuse
}
