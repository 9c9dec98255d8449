import type { LookupAddress } from "node:dns"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { isPublicAddress, publicLookup, type Resolve } from "../src/http/address.ts"
import { remote } from "../src/http/remote.ts"
import { answerJson, type FaultServer, faultServer } from "./fault-server.ts"

describe("an address", () => {
  it.each([
    ..."127.0.0.1 127.8.8.8 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 192.0.2.1 198.18.0.1".split(
      " ",
    ),
    ..."::1 :: fe80::1 fc00::1 fd12::1 ff02::1 ::ffff:127.0.0.1 ::ffff:a00:1 64:ff9b::7f00:1 2002:7f00:1:: 2001:db8::1 2001::1 fe80::1%eth0 not-an-address".split(
      " ",
    ),
  ])("is not public: %s", (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each(
    "1.1.1.1 8.8.8.8 172.32.0.1 100.128.0.1 2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::808:808".split(
      " ",
    ),
  )("is public: %s", (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })
})

/** A resolver that gives each answer once, the last one for ever. */
const resolver = (...answers: readonly (readonly string[])[]): Resolve => {
  const left = [...answers]
  return (_hostname, _options, callback) => {
    const addresses = (left.length > 1 ? left.shift() : left[0]) ?? []
    callback(
      null,
      addresses.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 })),
    )
  }
}

describe("a name", () => {
  const lookUp = (resolve: Resolve) =>
    new Promise((done) =>
      publicLookup(resolve)("service.example", { all: true }, (error, found) => done(error ?? found)),
    )

  it("is looked up when all its addresses are public", async () => {
    expect(await lookUp(resolver(["1.1.1.1", "2606:4700:4700::1111"]))).toEqual([
      { address: "1.1.1.1", family: 4 },
      { address: "2606:4700:4700::1111", family: 6 },
    ])
  })

  it.each([[["127.0.0.1"]], [["1.1.1.1", "10.0.0.1"]], [[]]])("is refused when it leads to %j", async (addresses) => {
    expect(await lookUp(resolver(addresses))).toMatchObject({ code: "PRIVATE_ADDRESS" })
  })
})

describe("a remote origin", () => {
  let server: FaultServer
  beforeAll(async () => {
    server = await faultServer()
    server.answerWith(answerJson({ reached: true }))
  })
  afterAll(() => server.close())
  const { signal } = new AbortController()

  it.each([
    "http://api.example.org",
    "https://127.0.0.1",
    "https://[::1]:8443",
    "https://2130706433",
    "https://0x7f.1",
    "https://user:pass@api.example.org",
    "ftp://api.example.org",
    "https://api.example.org/v1",
    "https://api.example.org/?key=1",
    "file:///etc/passwd",
    "nonsense",
  ])("is refused when it is set up: %s", (origin) => {
    expect(() => remote(origin)).toThrow(expect.objectContaining({ _tag: "ToolSetupError", reason: "bad-address" }))
  })

  it("is not connected to when its name leads inward", async () => {
    const api = remote("https://service.example", { resolve: resolver(["127.0.0.1"]), sleep: async () => undefined })
    await expect(api.json({ path: "/", signal })).rejects.toThrow(
      "the service's name leads to an address that is not public",
    )
    expect(server.received).toHaveLength(0)
  })

  it("is checked on the address that is connected to, even when the name changes its answer", async () => {
    let asked = 0
    const rebinding: Resolve = (hostname, options, callback) => {
      asked++
      resolver(asked === 1 ? ["192.0.0.171"] : ["127.0.0.1"])(hostname, options, callback)
    }
    const api = remote("https://service.example", { resolve: rebinding, sleep: async () => undefined })
    for (let round = 0; round < 3; round++) {
      await expect(api.json({ path: "/", signal })).rejects.toThrow("not public")
    }
    expect(asked).toBe(3)
    expect(server.received).toHaveLength(0)
  })

  it("of one's own network is reached when that is asked for", async () => {
    expect(await remote(server.origin, { addresses: "any" }).json({ path: "/", signal })).toEqual({ reached: true })
  })

  it("cannot be left through the path", async () => {
    const api = remote(server.origin, { addresses: "any" })
    server.answerWith(answerJson({ reached: true }))
    await api.json({ path: "//evil.example/x", signal }).catch(() => undefined)
    for (const { headers } of server.received) expect(headers.host).toBe(new URL(server.origin).host)
  })
})
