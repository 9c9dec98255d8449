/** Readers of data that others wrote, fed with what nobody would write. Seeded: the same cases in every run. */
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { braveSearch, localDocuments, wolframAlpha } from "../src/index.ts"
import { readDocuments } from "../src/search/document-text.ts"
import { answerJson, type FaultServer, faultServer } from "./fault-server.ts"
import { toolContext } from "./tool-context.ts"

const seeded = { seed: 20261124, numRuns: 150 }
let server: FaultServer
beforeAll(async () => {
  server = await faultServer()
})
afterAll(() => server.close())

/** Answers that have the right names in them and anything under them. */
const nearly = (...names: readonly string[]) =>
  fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie("value"), { maxLength: 3 }),
      tie("object"),
    ),
    object: fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 5 }),
  })).object

describe("an answer in nearly the right form", () => {
  const settings = () => ({
    apiKey: "k",
    baseUrl: server.origin,
    addresses: "any" as const,
    sleep: async () => undefined,
  })

  it.each([
    ["brave_search", () => braveSearch(settings()), nearly("web", "results", "title", "url", "description", "type")],
    [
      "wolfram_alpha",
      () => wolframAlpha(settings()),
      nearly("queryresult", "success", "error", "code", "pods", "subpods", "title", "plaintext", "primary"),
    ],
  ] as const)("gives %s a result of the trained shape or a failure in words", async (_name, make, answers) => {
    const tool = make()
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        server.answerWith(answerJson(answer))
        try {
          const output = (await tool.execute({ query: "q" } as never, toolContext())) as {
            top_k?: unknown[]
            queryresult?: object
          }
          expect(output.top_k ?? output.queryresult).toBeInstanceOf(Object)
          expect(() => JSON.stringify(output)).not.toThrow()
        } catch (error) {
          expect(error).toMatchObject({ _tag: "ToolFailed" })
        }
      }),
      seeded,
    )
    await tool.close?.()
  })
})

describe("a document of any form", () => {
  const mark = fc.constantFrom(
    "<",
    ">",
    "<p>",
    "</p>",
    "<script>",
    "</title>",
    "<!--",
    "&amp;",
    "#",
    "\n",
    "\n\n",
    "*",
    "_",
    "[",
    "](",
    "`",
    "---\n",
    "- ",
    "\u0000",
    "é",
    "word ",
    '"',
  )
  const text = fc.array(fc.oneof(mark, fc.string({ maxLength: 8 })), { maxLength: 60 }).map((pieces) => pieces.join(""))

  it.each(["a.txt", "a.md", "a.html"])("is read as titled text: %s", async (name) => {
    await fc.assert(
      fc.asyncProperty(text, async (content) => {
        for (const document of await readDocuments(name, content)) {
          expect(document.title).not.toBe("")
          expect(document.text.length).toBeLessThanOrEqual(content.length * 4 + 8)
        }
      }),
      seeded,
    )
  })

  it("is found again by a word that only it holds", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 4 }), async (texts) => {
        const collection = Object.fromEntries([
          ...texts.map((content, index) => [`t${index}`, content]),
          ["needle", "The quetzalcoatlus flew."],
        ])
        const [hit] = await localDocuments(collection).search("quetzalcoatlus", new AbortController().signal)
        expect(hit?.description).toBe("The quetzalcoatlus flew.")
      }),
      seeded,
    )
  })

  // In quadratic time each of these would take minutes, and the test would run out of its own.
  it("takes time in proportion to its length, however it is made", async () => {
    for (const piece of ["*a ", "[", "](", "<p", "#", "- ", "`", "&", "<script>", "\n", "a", "# #", "#\t"]) {
      for (const name of ["a.md", "a.html"]) expect(await readDocuments(name, piece.repeat(300_000))).toHaveLength(1)
    }
  })
})
