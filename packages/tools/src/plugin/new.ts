/** Writes a plugin that works: a manifest, a module with one function, a test that needs nothing but Node, a README. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { ToolSetupError } from "../error.ts"

/**
 * Makes the folder `name` in `parent` and gives the paths of its files. Throws ToolSetupError for a name that no plugin may have,
 * or when the folder exists already.
 */
export function pluginNew(name: string, parent = "."): string[] {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name)) {
    throw new ToolSetupError({
      reason: "bad-manifest",
      detail: `${JSON.stringify(name)} cannot be a plugin's name.`,
      fix: "Use lower-case letters, digits and hyphens, a letter first.",
    })
  }
  const folder = resolve(parent, name)
  try {
    mkdirSync(folder, { recursive: false })
  } catch (cause) {
    throw new ToolSetupError({
      reason: "unreadable",
      detail: `The folder ${folder} cannot be made: ${(cause as NodeJS.ErrnoException).code}.`,
      fix: "Choose another name, or another place.",
      cause,
    })
  }
  return Object.entries(filesOf(name)).map(([file, content]) => {
    const path = join(folder, file)
    writeFileSync(path, content, { flag: "wx" })
    return path
  })
}

const filesOf = (name: string): { readonly [file: string]: string } => ({
  "package.json": json({
    name,
    version: "0.1.0",
    type: "module",
    keywords: ["chasqui-plugin"],
    chasqui: "./chasqui.json",
    files: ["chasqui.json", "index.js", "README.md"],
    scripts: { test: "node --test" },
  }),
  "chasqui.json": json(manifestOf(name)),
  "index.js": moduleText,
  "index.test.js": testText,
  "README.md": readmeText(name),
})

const json = (value: object): string => `${JSON.stringify(value, null, 2)}\n`

const manifestOf = (name: string): object => ({
  manifest: 1,
  name,
  description: "What this plugin is for, for people.",
  config: {
    properties: { greeting: { type: "string", default: "Hello", description: "The word to greet with." } },
  },
  tools: [
    {
      name: "greet",
      description: "Greet a person by name",
      input: {
        type: "object",
        properties: {
          person: { type: "string", minLength: 1, description: "Who is greeted" },
          times: { type: "integer", minimum: 1, maximum: 3, default: 1, description: "How often" },
        },
        required: ["person"],
        additionalProperties: false,
      },
      timeoutMs: 5000,
      readOnly: true,
      run: { module: { file: "./index.js", export: "greet" } },
    },
  ],
})

const moduleText = `/**
 * The input has been checked against chasqui.json and its defaults are filled in. The result is anything that JSON can carry.
 * To tell the model what went wrong, throw an error whose _tag is "ToolFailed"; it sees no other error's text.
 */
export async function greet({ person, times }, { config, signal }) {
  signal.throwIfAborted()
  if (person.toLowerCase() === "nobody") throw Object.assign(new Error("Nobody cannot be greeted"), { _tag: "ToolFailed" })
  return { greeting: Array(times).fill(\`\${config.greeting}, \${person}!\`).join(" ") }
}
`

const testText = `import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import * as plugin from "./index.js"

const manifest = JSON.parse(readFileSync(new URL("./chasqui.json", import.meta.url), "utf8"))
const context = { config: { greeting: "Hello" }, signal: new AbortController().signal }

test("every tool of the manifest is a function of this module", () => {
  for (const { name, run } of manifest.tools) assert.equal(typeof plugin[run.module.export ?? name], "function")
})

test("greets as often as asked", async () => {
  assert.deepEqual(await plugin.greet({ person: "Ada", times: 2 }, context), { greeting: "Hello, Ada! Hello, Ada!" })
})

test("says what is wrong in words for the model", async () => {
  await assert.rejects(plugin.greet({ person: "nobody", times: 1 }, context), { _tag: "ToolFailed" })
})
`

const readmeText = (name: string): string => `# ${name}

A Chasqui plugin with one tool, \`greet\`.

\`\`\`ts
import { agent, plugin } from "chasqui"

const { tools } = await plugin("./${name}", { config: { greeting: "Good day" } })
await using bot = await agent({ tools })
\`\`\`

- \`chasqui.json\`: what the model is shown, and how each call is carried out.
- \`index.js\`: the function behind the tool.
- \`npm test\` runs the test; \`chasqui plugin check .\` checks the manifest.
`
