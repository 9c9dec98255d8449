/** `chasqui pull`: downloads a checkpoint, with progress on the error stream and the folder on the output. */
import { join, resolve } from "node:path"
import { type PullProgress, pull } from "../pull.ts"
import type { Command, ExitCode } from "./command.ts"
import { readOptions } from "./options.ts"
import { type Terminal, visible } from "./terminal.ts"
import { UsageError } from "./usage-error.ts"

const help = `Usage: chasqui pull [options] REPOSITORY [DIR]

Downloads a checkpoint or an adapter from the Hugging Face hub: configuration, tokenizer and weights in safetensors, nothing
else. Each file is checked against the hub's checksum. A download that was cut goes on where it stopped. DIR is the name of
the repository by default. A token is read from HF_TOKEN; it is sent to the hub only and never shown.

  --revision NAME    a branch, a tag or a commit (default main)
  --hub URL          another hub (default https://huggingface.co, or HF_ENDPOINT)
  --quiet            no progress

Examples:
  chasqui pull meta-llama/Llama-3.2-1B-Instruct
  HF_TOKEN=… chasqui pull meta-llama/Llama-3.1-8B-Instruct ./llama-8b
`

const options = {
  revision: { type: "string" },
  hub: { type: "string" },
  quiet: { type: "boolean" },
} as const

export const command: Command = { help, run }

async function run(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { values, positionals } = readOptions(args, options)
  const [repository, folder, ...rest] = positionals
  if (repository === undefined || rest.length > 0)
    throw new UsageError("chasqui pull takes a repository and, if you like, a folder.")
  const hubUrl = values.hub ?? process.env.HF_ENDPOINT
  if (hubUrl !== undefined && !URL.canParse(hubUrl))
    throw new UsageError(`--hub takes a URL, not ${JSON.stringify(hubUrl)}.`)
  const token = process.env.HF_TOKEN
  const controller = new AbortController()
  const interrupt = () => controller.abort()
  process.once("SIGINT", interrupt)
  const path = resolve(folder ?? join(".", repository.split("/").at(-1) ?? repository))
  try {
    const { files, bytes } = await pull({
      repository,
      folder: path,
      signal: controller.signal,
      ...(hubUrl !== undefined && { hubUrl: hubUrl.replace(/\/+$/, "") }),
      ...(values.revision !== undefined && { revision: values.revision }),
      ...(token && { token }),
      ...(!values.quiet && { onProgress: progressLines(terminal) }),
    })
    terminal.out(`${visible(path)}: ${files.length} files, ${size(bytes)}\n`)
    return 0
  } catch (error) {
    if (!controller.signal.aborted) throw error
    terminal.err("\nStopped. The same command goes on from here.\n")
    return 130
  } finally {
    process.off("SIGINT", interrupt)
  }
}

/** One line for each file's beginning and end, and one for every tenth of a large file. */
function progressLines({ err, style }: Terminal): (progress: PullProgress) => void {
  let shown = ""
  return ({ file, bytes, size: whole, state }) => {
    const tenth = whole === 0 ? 10 : Math.floor((bytes * 10) / whole)
    const key = `${file} ${state === "loading" ? tenth : state}`
    if (key === shown || (state === "loading" && whole < 50e6)) return
    shown = key
    const what = state === "loading" ? `${tenth * 10} % of ${size(whole)}` : `${state} (${size(bytes)})`
    err(style.dim(`${visible(file)}: ${what}\n`))
  }
}

function size(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(2)} MB`
}
