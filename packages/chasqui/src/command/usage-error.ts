/** The command was called with arguments that it does not take. Exit code 2. */
export class UsageError extends Error {
  readonly _tag = "UsageError"
}
