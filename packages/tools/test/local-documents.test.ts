import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { braveSearch, localDocuments, sampleDocuments } from "../src/index.ts"
import { toolContext } from "./tool-context.ts"

const context = toolContext()
const search = async (source: Parameters<typeof localDocuments>[0], query: string) =>
  localDocuments(source).search(query, context.signal)

describe("the sample collection", () => {
  const tool = braveSearch({ documents: sampleDocuments })

  it.each([
    [
      "current weather in Menlo Park, California",
      "Menlo Park, California weather today: mostly sunny, high of 71°F, low of 53°F.",
    ],
    ["current weather in Menlo Park", "Menlo Park, California weather today: mostly sunny, high of 71°F, low of 53°F."],
    ["Oslo population", "Oslo has a population of 717710."],
    ["Lima population", "Lima has a population of 10092000."],
    ["Mount Everest height", "Mount Everest - Height: 8849 meters"],
    ["Halden Motors CEO", "Ingrid Hansen is the CEO of Halden Motors since 2019."],
    ["Quilla Foods stock price", "The stock price of Quilla Foods: Quilla Foods shares closed at $17.40."],
    ["Tambo Energy founded", "Tambo Energy was founded in 2003 by Kwame Mensah."],
    ["latest news Halden Motors", "Latest news: Halden Motors opens a new factory in Oslo."],
    ["capital of Peru", "The capital of Peru is Lima."],
    ["Salt River release year", "Salt River was released in 1972. Release year of the film: 1972."],
    ["The Paper Sea author", "Julia Novak is best known as the author of The Paper Sea."],
  ])("answers %j with the sentence that holds the fact", async (query, sentence) => {
    const output = (await tool.execute({ query } as never, context)) as {
      query: string
      top_k: { description: string }[]
    }
    expect(output.query).toBe(query)
    expect(output.top_k[0]?.description).toBe(sentence)
    expect(output.top_k.length).toBeLessThanOrEqual(3)
  })

  it.each([
    "current weather in Vilnius",
    "Zurich population",
    "quantum chromodynamics",
    "Zagreb Bank CEO",
    "the of and",
    "",
  ])("has no result for %j", async (query) => {
    expect(await search(sampleDocuments, query)).toEqual([])
  })

  it("says who answers", () => {
    expect(tool).toMatchObject({ name: "brave_search", builtin: true, provider: "local-documents" })
  })
})

describe("a folder of documents", () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "documents-"))
    mkdirSync(join(folder, "deep", "er"), { recursive: true })
    writeFileSync(join(folder, "notes.txt"), "The vault opens at nine.\n\nThe garden closes at dusk.")
    writeFileSync(
      join(folder, "deep", "guide.md"),
      "---\nurl: x\n---\n# The *Guide*\n\n- The [ferry](https://x.example) leaves **hourly**.\n- The bus is `free`.\n",
    )
    writeFileSync(
      join(folder, "deep", "er", "page.html"),
      "<html><head><title>Museum &amp; Park</title><style>ticket{}</style></head><body><h1>Hours</h1><p>A ticket costs <b>12</b> euros.<script>ticket()</script><p>Closed on Mondays",
    )
    writeFileSync(
      join(folder, "list.json"),
      JSON.stringify([{ title: "Harbour", url: "https://harbour.example/", text: "The harbour master is Ada." }]),
    )
    writeFileSync(join(folder, ".secret.txt"), "The hidden vault code.")
    writeFileSync(join(folder, "image.png"), "vault")
    symlinkSync("/etc/hostname", join(folder, "link.txt"))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each([
    ["vault", [{ title: "notes", url: "notes.txt", description: "The vault opens at nine." }]],
    ["ferry", [{ title: "The Guide", url: "deep/guide.md", description: "The ferry leaves hourly." }]],
    ["ticket", [{ title: "Museum & Park", url: "deep/er/page.html", description: "A ticket costs 12 euros." }]],
    ["museum monday", [{ title: "Museum & Park", url: "deep/er/page.html", description: "Closed on Mondays" }]],
    [
      "harbour master",
      [{ title: "Harbour", url: "https://harbour.example/", description: "The harbour master is Ada." }],
    ],
  ])("finds %j, whatever the file's form", async (query, results) => {
    expect(await search(folder, query)).toEqual(results)
  })

  it("gives the file's name, and nothing of its content, when it is malformed", async () => {
    const broken = mkdtempSync(join(tmpdir(), "documents-"))
    writeFileSync(join(broken, "bad.json"), "{ secret")
    await expect(search(broken, "secret")).rejects.toThrow(
      /^The document collection cannot be read: bad\.json is malformed\.$/,
    )
    rmSync(broken, { recursive: true })
  })

  it("is refused at once when it does not exist", () => {
    expect(() => localDocuments("/no/such/folder")).toThrow(
      expect.objectContaining({ _tag: "ToolSetupError", reason: "not-found" }),
    )
  })
})

describe("texts given directly", () => {
  it("prefers the sentence that fits in a long paragraph", async () => {
    const filler = "Nothing of interest happens in this place on most days of the year. ".repeat(10)
    const [hit] = await search(
      { Log: `${filler}The lighthouse was painted red in spring. ${filler}` },
      "lighthouse painted",
    )
    expect(hit?.description).toBe("The lighthouse was painted red in spring.")
  })

  it("finds words with accents, other endings and small spelling mistakes", async () => {
    const texts = { Café: "The café in Zürich sells pastries." }
    for (const query of ["cafe zurich", "CAFÉ pastrie", "cafe pastires"])
      expect(await search(texts, query), query).toHaveLength(1)
  })
})

describe("the choice of who answers", () => {
  it("is never made in silence", () => {
    expect(() => braveSearch({ apiKey: "k", documents: {} })).toThrow(
      expect.objectContaining({ reason: "ambiguous-provider" }),
    )
    const kept = process.env.BRAVE_API_KEY
    delete process.env.BRAVE_API_KEY
    try {
      expect(() => braveSearch()).toThrow(expect.objectContaining({ reason: "missing-key" }))
      process.env.BRAVE_API_KEY = "from-environment"
      expect(braveSearch().provider).toBe("brave")
    } finally {
      delete process.env.BRAVE_API_KEY
      if (kept !== undefined) process.env.BRAVE_API_KEY = kept
    }
  })
})
