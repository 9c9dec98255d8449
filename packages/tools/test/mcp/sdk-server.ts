/** Runs the SDK's server over standard input and output: `node sdk-server.ts`. */
import { serveStdio } from "@modelcontextprotocol/server/stdio"
import { sdkServer } from "./sdk-tools.ts"

serveStdio(sdkServer)
