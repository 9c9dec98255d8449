/**
 * Reads one file as titled text: plain text, Markdown, HTML or JSON. What comes out has no markup; what it means for a search
 * is not known here. Malformed HTML and Markdown are read as far as they go; malformed JSON is an error with the file's name.
 */
export interface Document {
  readonly title: string
  /** Where it came from, shown as the result's `url`. */
  readonly url: string
  /** Paragraphs are separated by empty lines. */
  readonly text: string
}

export const documentExtensions = [".txt", ".md", ".markdown", ".html", ".htm", ".json"] as const

/** The documents in one file; a JSON file may hold several. `name` is the path within the collection, with `/`. */
export async function readDocuments(name: string, content: string): Promise<Document[]> {
  const extension = name.slice(name.lastIndexOf(".")).toLowerCase()
  const fallback = titleOfName(name)
  if (extension === ".html" || extension === ".htm") return [{ url: name, ...(await readHtml(content, fallback)) }]
  if (extension === ".md" || extension === ".markdown") return [{ url: name, ...readMarkdown(content, fallback) }]
  if (extension === ".json") return readJson(name, content, fallback)
  return [{ title: fallback, url: name, text: content }]
}

const titleOfName = (name: string): string =>
  name
    .slice(name.lastIndexOf("/") + 1)
    .replace(/\.[^.]*$/, "")
    .replace(/[-_]+/g, " ")

function readMarkdown(content: string, fallback: string): Pick<Document, "title" | "text"> {
  const body = content.replace(/^---\r?\n[\s\S]*?\r?\n---\r?\n/, "")
  const heading = headingPattern.exec(body)?.[1]
  const text = body
    .replace(/^(```|~~~).*$/gm, "")
    .replaceAll(new RegExp(headingPattern, "gm"), (_line, title: string) => (title === heading ? "" : `\n${title}\n`))
    .replace(/^[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+/gm, "\n") // each item of a list is a paragraph of its own
  return { title: withoutMarks(heading ?? "").trim() || fallback, text: withoutMarks(text) }
}

/** Every pattern here takes time linear in the text: no two neighbouring repetitions can share characters. */
const headingPattern = /^#{1,6}[ \t]+([^ \t#\n][^\n]*)$/m

/** Links keep their words, emphasis and code their content. */
const withoutMarks = (text: string): string =>
  text
    .replace(/!?\[([^[\]\n]{0,500})\]\([^()\n]{0,2000}\)/g, "$1")
    .replace(/(?<!\w)(\*{1,3}|_{1,3})(\S(?:[^\n]{0,200}?\S)?)\1(?!\w)/g, "$2")
    .replaceAll("`", "")

const blocks = new Set(
  "address article aside blockquote br dd div dl dt footer h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table td th tr ul".split(
    " ",
  ),
)
const unseen = new Set(["script", "style", "template", "noscript", "svg"])

async function readHtml(content: string, fallback: string): Promise<Pick<Document, "title" | "text">> {
  const { Parser } = await import("htmlparser2")
  let title = ""
  let text = ""
  let hidden = 0
  let inTitle = false
  const parser = new Parser({
    onopentag(name) {
      if (unseen.has(name)) hidden++
      if (name === "title") inTitle = true
      if (blocks.has(name)) text += "\n\n"
    },
    ontext(piece) {
      if (inTitle) title += piece
      else if (hidden === 0) text += piece.replace(/\s+/g, " ")
    },
    onclosetag(name) {
      if (unseen.has(name)) hidden--
      if (name === "title") inTitle = false
      if (blocks.has(name)) text += "\n\n"
    },
  })
  parser.end(content)
  return { title: title.trim().replace(/\s+/g, " ") || fallback, text }
}

/** Either `[{ title, text, url? }, …]`, one such object, or an object of titles and texts. */
function readJson(name: string, content: string, fallback: string): Document[] {
  const value: unknown = JSON.parse(content)
  if (Array.isArray(value)) return value.map((entry) => readRecord(name, entry, fallback))
  if (
    typeof value === "object" &&
    value !== null &&
    !("text" in value) &&
    Object.values(value).every((text) => typeof text === "string")
  ) {
    return Object.entries(value as Record<string, string>).map(([title, text]) => ({ title, url: name, text }))
  }
  return [readRecord(name, value, fallback)]
}

function readRecord(name: string, entry: unknown, fallback: string): Document {
  if (typeof entry === "string") return { title: fallback, url: name, text: entry }
  const { title, url, text } = (entry ?? {}) as Record<string, unknown>
  if (typeof text === "string") {
    return { title: typeof title === "string" ? title : fallback, url: typeof url === "string" ? url : name, text }
  }
  return { title: typeof title === "string" ? title : fallback, url: name, text: JSON.stringify(entry) }
}
