/** The tools that a command offers: search, maths, Python, plugins. Who answers is decided by options and environment. */
import type { Tool } from "@chasqui/core"
import { braveSearch, codeInterpreter, plugin, sampleDocuments } from "@chasqui/tools"

export interface ToolChoice {
  /** A folder that brave_search answers from. */
  readonly documents: string | undefined
  readonly plugins: readonly string[]
}

/** Options that `run`, `chat` and `mcp serve` share. */
export const toolOptions = {
  documents: { type: "string" },
  plugin: { type: "string", multiple: true },
} as const

export const toolHelp = `  --documents DIR    let brave_search answer from these texts (default: BRAVE_API_KEY's web search, else sample documents)
  --plugin DIR       also offer the tools of this plugin (a folder or a package); may be given several times`

/** brave_search, code_interpreter and the plugins' tools. Throws ToolSetupError for a plugin that cannot be used. */
export async function chosenTools({ documents, plugins }: ToolChoice): Promise<readonly Tool[]> {
  const loaded = await Promise.all(plugins.map((source) => plugin(source)))
  return [searchTool(documents), codeInterpreter({ start: "now" }), ...loaded.flatMap(({ tools }) => tools)]
}

/** One line that names every tool with who answers. */
export function describeTools(tools: readonly Tool[]): string {
  return tools
    .map(({ name, provider }) => {
      if (name === "code_interpreter") return `${name} (CPython in a sandbox)`
      return provider === undefined ? name : `${name} (${provider})`
    })
    .join(", ")
}

function searchTool(folder: string | undefined): Tool {
  if (folder !== undefined) return braveSearch({ documents: folder })
  return process.env.BRAVE_API_KEY ? braveSearch() : braveSearch({ documents: sampleDocuments })
}
