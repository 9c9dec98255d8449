/** Judges an address before anything is sent to it; `address.ts` judges again when a socket connects. */
import { isIP } from "node:net"
import { ToolSetupError } from "../error.ts"
import { isPublicAddress } from "./address.ts"

/** Throws ToolSetupError for what may not be reached: no URL, credentials in it, no HTTPS, a literal inner address. */
export function checkedOrigin(origin: string, addresses: "public" | "any"): URL {
  const refuse = (detail: string, fix: string) => new ToolSetupError({ reason: "bad-address", detail, fix })
  if (!URL.canParse(origin))
    throw refuse(`${JSON.stringify(origin)} is no URL.`, "Give an origin such as https://api.example.org.")
  const url = new URL(origin)
  if (url.pathname !== "/" || url.search || url.hash) {
    throw refuse(`${JSON.stringify(origin)} holds more than an origin.`, "Leave out the path and what follows it.")
  }
  if (url.username || url.password)
    throw refuse("The URL holds a user name or password.", "Send credentials in a header.")
  if (url.protocol !== "https:" && !(url.protocol === "http:" && addresses === "any")) {
    throw refuse(
      `${url.protocol}//${url.host} is not HTTPS.`,
      'Use https, or addresses: "any" for a server of your own.',
    )
  }
  const host = url.hostname.replace(/^\[|\]$/g, "")
  if (addresses === "public" && isIP(host) !== 0 && !isPublicAddress(host)) {
    throw refuse(`${host} is not a public address.`, 'Use addresses: "any" for a server of your own.')
  }
  return url
}
