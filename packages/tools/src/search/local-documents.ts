/**
 * Answers searches from documents on this machine: full-text index (BM25+ by minisearch), no network, no key. A result is the
 * sentence that fits best, under the title of its document. What the collection does not know gives no result: a document that
 * only shares the common words of a query is left out.
 */
import { statSync } from "node:fs"
import { readdir, readFile } from "node:fs/promises"
import { extname, join, relative, sep } from "node:path"
import { setImmediate } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { ToolFailed } from "@chasqui/core"
import type MiniSearch from "minisearch"
import { ToolSetupError } from "../error.ts"
import { type Document, documentExtensions, readDocuments } from "./document-text.ts"
import type { SearchProvider, SearchResult } from "./search-provider.ts"

/** A folder (path or file URL), or titles with their texts. */
export type DocumentSource = string | URL | { readonly [title: string]: string }

/** What one collection may hold. */
const limits = { files: 10_000, fileBytes: 4_194_304, totalBytes: 134_217_728 } as const
const passagesAtATime = 500
/** A longer paragraph is cut into sentences. */
const passageCharacters = 240
/** Share of a query's weight that a passage must match; rare words weigh more than common ones. */
const leastCoverage = 0.5

/** The collection that comes with this package: a dozen short texts for trying things out. */
export const sampleDocuments = new URL("../../data/documents/", import.meta.url)

/**
 * A search provider over a collection, read and indexed at the first search. Throws ToolSetupError when the folder is not there;
 * files of other kinds, hidden files and links are passed over.
 */
export function localDocuments(source: DocumentSource): SearchProvider {
  const load =
    typeof source === "string" || source instanceof URL ? folderReader(source) : async () => fromRecord(source)
  let index: Promise<PassageIndex> | undefined
  return {
    name: "local-documents",
    search: async (query, signal) => {
      index ??= load()
        .then(indexPassages)
        .catch((error: unknown) => {
          index = undefined // what is wrong with the files may be put right before the next search
          throw error
        })
      const ready = await index
      signal.throwIfAborted()
      return ready.search(query)
    },
  }
}

const fromRecord = (texts: { readonly [title: string]: string }): Document[] =>
  Object.entries(texts).map(([title, text]) => ({ title, url: `document:${encodeURIComponent(title)}`, text }))

function folderReader(source: string | URL): () => Promise<Document[]> {
  const folder = source instanceof URL ? fileURLToPath(source) : source
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    throw new ToolSetupError({
      reason: "not-found",
      detail: `There is no folder ${JSON.stringify(folder)} to search in.`,
      fix: `Name a folder that holds ${documentExtensions.join(", ")} files.`,
    })
  }
  return () => readFolder(folder)
}

async function readFolder(folder: string): Promise<Document[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = entries
    .filter(
      (entry) =>
        entry.isFile() && (documentExtensions as readonly string[]).includes(extname(entry.name).toLowerCase()),
    )
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .filter((name) => !name.split("/").some((part) => part.startsWith(".")))
    .toSorted()
  if (names.length > limits.files) throw tooLarge(`more than ${limits.files} files`)
  const documents: Document[] = []
  let totalBytes = 0
  for (const name of names) {
    const content = await readFile(join(folder, name))
    totalBytes += content.length
    if (content.length > limits.fileBytes) throw tooLarge(`${name}, which is larger than ${limits.fileBytes} bytes`)
    if (totalBytes > limits.totalBytes) throw tooLarge(`more than ${limits.totalBytes} bytes`)
    try {
      documents.push(...(await readDocuments(name, content.toString("utf8"))))
    } catch (cause) {
      throw new ToolFailed(`The document collection cannot be read: ${name} is malformed.`, { cause })
    }
  }
  return documents
}

const tooLarge = (what: string) => new ToolFailed(`The document collection cannot be read: it holds ${what}.`)

interface Passage {
  readonly id: number
  readonly document: number
  readonly title: string
  readonly text: string
}

interface PassageIndex {
  search(query: string): SearchResult[]
}

async function indexPassages(documents: readonly Document[]): Promise<PassageIndex> {
  const { default: Index } = await import("minisearch")
  const passages: Passage[] = []
  for (const [document, { title, text }] of documents.entries()) {
    for (const passage of passagesOf(text)) passages.push({ id: passages.length, document, title, text: passage })
  }
  const index: MiniSearch<Passage> = new Index<Passage>({
    fields: ["title", "text"],
    processTerm: termOf,
    searchOptions: {
      boost: { title: 1.5 },
      prefix: (term) => term.length >= 4,
      fuzzy: (term) => (term.length >= 6 ? 0.2 : false),
    },
  })
  const frequency = new Map<string, number>()
  for (let start = 0; start < passages.length; start += passagesAtATime) {
    const some = passages.slice(start, start + passagesAtATime)
    index.addAll(some)
    countTerms(some, frequency)
    await setImmediate() // the host has other things to do
  }
  const weightOf = (term: string) => Math.log(1 + (passages.length + 1) / ((frequency.get(term) ?? 0) + 1))
  return { search: (query) => bestOfEachDocument(index.search(query), query, weightOf, passages, documents) }
}

/** A query that names a document's whole title is about that document, whatever else it asks. */
function namesTitle(title: string, asked: readonly string[]): boolean {
  const terms = termsOf(title)
  return terms.length > 0 && terms.every((term) => asked.includes(term))
}

function bestOfEachDocument(
  hits: ReturnType<MiniSearch<Passage>["search"]>,
  query: string,
  weightOf: (term: string) => number,
  passages: readonly Passage[],
  documents: readonly Document[],
): SearchResult[] {
  const asked = [...new Set(termsOf(query))]
  const total = asked.reduce((sum, term) => sum + weightOf(term), 0)
  const seen = new Set<number>()
  const results: SearchResult[] = []
  for (const { id, queryTerms } of hits) {
    const passage = passages[id as number]!
    const matched = [...new Set(queryTerms)].reduce((sum, term) => sum + weightOf(term), 0)
    const covered = matched >= total * leastCoverage || namesTitle(passage.title, asked)
    if (!covered || seen.has(passage.document)) continue
    seen.add(passage.document)
    const { title, url } = documents[passage.document]!
    results.push({ title, url, description: passage.text })
  }
  return results
}

/** In how many passages each word stands: a word in every passage says little, a word in none says most. */
function countTerms(passages: readonly Passage[], frequency: Map<string, number>): void {
  for (const { title, text } of passages) {
    for (const term of new Set(termsOf(`${title} ${text}`))) frequency.set(term, (frequency.get(term) ?? 0) + 1)
  }
}

function passagesOf(text: string): string[] {
  const paragraphs = text.split(/\n\s*\n/).map((paragraph) => paragraph.trim().replace(/\s+/g, " "))
  return paragraphs
    .filter((paragraph) => paragraph !== "")
    .flatMap((paragraph) => (paragraph.length <= passageCharacters ? [paragraph] : sentencesOf(paragraph)))
}

let segmenter: Intl.Segmenter | undefined

function sentencesOf(paragraph: string): string[] {
  segmenter ??= new Intl.Segmenter("en", { granularity: "sentence" })
  const whole = [...segmenter.segment(paragraph)]
    .map(({ segment }) => segment.trim())
    .filter((segment) => segment !== "")
  return whole
    .flatMap((sentence) => sentence.match(/.{1,1000}(?:\s|$)|.{1,1000}/gsu) ?? [])
    .map((piece) => piece.trim())
}

/** Words that say nothing about what is looked for. */
const fillers = new Set(
  "a an and are at be by current currently did do does for from how in information is it latest me much new now of on or please show tell that the this to today was what when where which who whose will with".split(
    " ",
  ),
)

const termOf = (word: string): string | null => {
  const term = word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/'s$/, "")
  return term === "" || fillers.has(term) ? null : term
}

const termsOf = (text: string): string[] =>
  text
    .split(/[\n\r\p{Z}\p{P}]+/u)
    .map(termOf)
    .filter((term) => term !== null)
