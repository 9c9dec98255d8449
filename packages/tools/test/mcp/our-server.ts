/** Runs our server over standard input and output: `node our-server.ts`. Imports the built package, as users do. */
import { mcpServeStdio } from "@chasqui/tools"
import { ourTools } from "./our-tools.ts"

await mcpServeStdio(ourTools, { name: "ours", instructions: "Tools for a test." })
