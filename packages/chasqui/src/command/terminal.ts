/**
 * Text for a person at a terminal. What models and tools wrote is shown with its control characters made visible, so that
 * it cannot move the cursor, recolour the screen or reverse the reading order. Colour follows NO_COLOR and the stream.
 */

/** Where a command writes: results to `out`, everything else to `err`. */
export interface Terminal {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly style: Style
}

export interface Style {
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
  readonly call: (text: string) => string
  readonly bad: (text: string) => string
}

const plain = (text: string): string => text
const plainStyle: Style = { dim: plain, bold: plain, call: plain, bad: plain }
const colour = (code: string) => (text: string) => `\u001b[${code}m${text}\u001b[0m`
const colourStyle: Style = { dim: colour("2"), bold: colour("1"), call: colour("36"), bad: colour("31") }

/** The process's own streams. */
export function processTerminal(environment: NodeJS.ProcessEnv = process.env): Terminal {
  // A reader that has seen enough, such as \`head\`, ends the program quietly.
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error
    process.exit(0)
  })
  const coloured = process.stdout.isTTY === true && !environment.NO_COLOR
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    style: coloured ? colourStyle : plainStyle,
  }
}

// C0 but tab and line feed, DEL, C1, and the marks that change the direction of text.
const unsafe = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Text from outside, safe to print: control characters become `\x1b`-like escapes; a carriage return before a line feed goes. */
export function visible(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(unsafe, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`
  })
}
