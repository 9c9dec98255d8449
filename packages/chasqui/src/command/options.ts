/** Reads a subcommand's options with Node's own parser, and turns its complaints into UsageErrors. */
import { type ParseArgsConfig, parseArgs } from "node:util"
import { UsageError } from "./usage-error.ts"

export function readOptions<const Options extends NonNullable<ParseArgsConfig["options"]>>(
  args: readonly string[],
  options: Options,
): ReturnType<typeof parseArgs<{ args: string[]; options: Options; allowPositionals: true; strict: true }>> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown))
  }
}

/** The word that an option holds, one of a list; `undefined` where it was not given. */
export function oneOf<Word extends string>(
  name: string,
  value: string | undefined,
  words: readonly Word[],
): Word | undefined {
  const word = words.find((each) => each === value)
  if (value === undefined || word !== undefined) return word
  throw new UsageError(`--${name} takes ${words.join(", ")}, not ${JSON.stringify(value)}.`)
}

/** The number that an option holds; `undefined` where it was not given. */
export function numberOption(name: string, value: string | undefined, least: number): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (value.trim() === "" || !Number.isFinite(number) || number < least) {
    throw new UsageError(`--${name} takes a number of at least ${least}, not ${JSON.stringify(value)}.`)
  }
  return number
}
