// Runs `pnpm test` and `pnpm test:slow` as a newcomer would, and ends with the sum of their verdicts on one line.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"

const reports = mkdtempSync(join(tmpdir(), "chasqui-ci-"))
let passed = 0
let failed = 0
const failures = []
for (const suite of ["test", "test:slow"]) {
  const report = join(reports, `${suite.replace(":", "-")}.json`)
  const run = spawnSync(
    "npx",
    ["-y", "pnpm@12.21.0", suite, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    { stdio: ["ignore", "inherit", "inherit"] },
  )
  const counts = existsSync(report) ? JSON.parse(readFileSync(report, "utf8")) : undefined
  passed += counts?.numPassedTests ?? 0
  failed += counts?.numFailedTests ?? 0
  // Anything that stops a suite before its tests (a build, a lint) counts as one failure.
  if (run.status !== 0 && (counts?.numFailedTests ?? 0) === 0) {
    failed++
    failures.push(`${suite} ended with ${run.status ?? run.signal} outside its tests`)
  }
  for (const file of counts?.testResults ?? [])
    for (const test of file.assertionResults)
      if (test.status === "failed")
        failures.push(`${relative(process.cwd(), file.name)} > ${test.fullName}\n${test.failureMessages.join("\n")}`)
}
rmSync(reports, { recursive: true })
// Named once more at the end, where a log that was cut still shows them.
for (const failure of failures) console.log(`FAILED ${failure.slice(0, 3000)}\n`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
