import { afterAll, describe, expect, it } from "vitest"
import { localMaths, wolframAlpha } from "../src/index.ts"
import { toolContext } from "./tool-context.ts"

const { signal } = new AbortController()
const maths = localMaths({ timeoutMs: 10_000 })
afterAll(() => maths.close?.())
const result = async (query: string) => (await maths.answer(query, signal))?.at(-1)?.lines[0] ?? null

describe("local maths", () => {
  it.each([
    ["solve 2x + 3 = 9", "x = 3"],
    ["solve x^2 - 5x + 6 = 0", "x = 2 and x = 3"],
    ["solve x^3 - 6x^2 + 11x - 6 = 0", "x = 1 and x = 2 and x = 3"],
    ["solve x^2 = 12", "x = -3.464101615 and x = 3.464101615"],
    ["solve x^2 - 6x + 9 = 0", "x = 3"],
    ["solve 12 - y = 3y", "y = 3"],
    ["solve 1/x = 4", "x = 0.25"],
    ["solve (x^2 - 1)/(x - 1) = 2", "no solution"],
    ["solve x^2 + 1 = 0", "x = -i and x = i"],
    ["solve x + 1 = x", "no solution"],
    ["solve 2x = x + x", "true for every x"],
    ["derivative of x^4 + 12x", "4x^3 + 12"],
    ["derivative of sin(3x)", "3 cos(3x)"],
    ["differentiate e^(4x)", "4e^(4x)"],
    ["derivative of ln(x)", "1/x"],
    ["integral of x^3 + 3x", "x^4/4 + 3x^2/2 + C"],
    ["integral of sin(3x)", "-cos(3x)/3 + C"],
    ["integral of e^(4x)", "e^(4x)/4 + C"],
    ["integral of cos(x) + 12x", "sin(x) + 6x^2 + C"],
    ["integral of x^2 from 0 to 3", "9"],
    ["gcd of 12 and 18", "6"],
    ["lcm of 4 and 6", "12"],
    ["factor 360", "2 * 2 * 2 * 3 * 3 * 5"],
    ["is 97 prime", "97 is a prime number"],
    ["is 91 prime", "91 is not a prime number"],
    ["convert 5 miles to kilometers", "8.04672 kilometers"],
    ["convert 10 pounds to kilograms", "4.5359237 kilograms"],
    ["100 celsius to fahrenheit", "212 fahrenheit"],
    ["square root of 2", "1.414213562"],
    ["log base 7 of 100", "2.366589325"],
    ["What is 17 * 23?", "391"],
    ["2^100", "1267650600228229401496703205376"],
    ["0.1 + 0.2", "0.3"],
    ["15% of 80", "12"],
    ["1,234 + 1", "1235"],
  ])("answers %j with %j", async (query, answer) => {
    expect(await result(query)).toBe(answer)
  })

  it.each([
    "solve sin(x) = 1/2",
    "integral of x*sin(x)",
    "integral of 1/x from -1 to 1",
    "who is the president",
    "x + y",
    "1/0",
    "f(x) = x",
    "",
    "= =",
  ])("says that it has no answer to %j rather than guess", async (query) => {
    expect(await result(query)).toBeNull()
  })

  it("gives its roots back to the equation: seeded polynomials of degree 2 to 6", async () => {
    let state = 7
    const next = (below: number) => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
      return state % below
    }
    for (let round = 0; round < 15; round++) {
      const coefficients = Array.from({ length: 3 + next(5) }, () => next(19) - 9)
      const text = coefficients.map((value, power) => `(${value}) * x^${power}`).join(" + ")
      const roots = [...((await result(`solve ${text} = 0`)) ?? "").matchAll(/x = (-?[\d.e-]+)(?= and|$)/g)].map(
        (match) => Number(match[1]),
      )
      for (const root of roots) {
        const value = coefficients.reduceRight((sum, coefficient) => sum * root + coefficient, 0)
        const size = coefficients.reduce((sum, coefficient, power) => sum + Math.abs(coefficient * root ** power), 0)
        expect(Math.abs(value), `${text} at ${root}`).toBeLessThanOrEqual(1e-6 * size + 1e-9)
      }
    }
  })

  it("says who answers, and gives the pods in the trained shape", async () => {
    const tool = wolframAlpha({ provider: maths })
    const context = toolContext()
    expect(tool).toMatchObject({ name: "wolfram_alpha", builtin: true, provider: "local-maths" })
    expect(JSON.stringify(await tool.execute({ query: "solve x + 1 = 3" } as never, context))).toBe(
      '{"queryresult":{"success":true,"inputstring":"solve x + 1 = 3","pods":[{"title":"Input interpretation","subpods":[{"title":"","plaintext":"solve x + 1 = 3"}]},{"title":"Result","primary":true,"subpods":[{"title":"","plaintext":"x = 2"}]}]}}',
    )
    expect(await tool.execute({ query: "nonsense" } as never, context)).toEqual({
      queryresult: { success: false, inputstring: "nonsense" },
    })
  })
})

describe("an expression that would take the host down", () => {
  const limited = localMaths({ timeoutMs: 1_200, memoryMb: 64 })
  afterAll(() => limited.close?.())

  it.each([
    ["a matrix of 10^10 numbers", "zeros(100000, 100000)"],
    ["a range that breaks the JavaScript engine", "1:1000000000"],
    ["a power with 10^11 digits", "bignumber(3)^100000000000"],
    ["a factorial without end", "factorial(10000000)"],
  ])("is stopped: %s; the next question is answered", async (_name, query) => {
    await expect(limited.answer(query, signal)).rejects.toThrow(
      /^(timeout|the computation needs more memory than it may use|the computation broke off)$/,
    )
    const again = await limited.answer("2 + 2", signal)
    expect(again?.at(-1)?.lines).toEqual(["4"])
  })

  it.each(["f(x) = f(x); f(1)", "(".repeat(390), `${"9^".repeat(190)}9`, "import({ sqrt: 1 })", 'createUnit("foo")'])(
    "is refused: %s",
    async (query) => {
      expect(await maths.answer(query, signal)).toBeNull()
    },
  )

  it("is stopped when the caller gives up, at once", async () => {
    const controller = new AbortController()
    const asked = maths.answer("factorial(10000000)", controller.signal)
    setTimeout(() => controller.abort(), 50)
    await expect(asked).rejects.toThrow(expect.objectContaining({ name: "AbortError" }))
  })
})
