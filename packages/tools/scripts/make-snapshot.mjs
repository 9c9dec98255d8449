// Makes the memory snapshot that Python sandboxes start from, so that the first call of a user does not pay for it.
// Where one is there already this only checks that a sandbox starts.
import { pythonSandbox } from "../dist/index.js"

const sandbox = pythonSandbox()
await sandbox.warmUp()
await sandbox.close()
