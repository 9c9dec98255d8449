/** The texts that run inside an isolate. They decide what a snapshot holds, so they are part of its key. */
import { readFileSync } from "node:fs"

/** They are no TypeScript, so the compiler leaves them in `src`; the package ships that folder. */
const folder = new URL("../../src/python/isolate/", import.meta.url)
const read = (name: string) => ({ name, source: readFileSync(new URL(name, folder), "utf8") })
/** The scripts are no modules, and strict all the same. */
const readScript = (name: string) => ({ name, source: `"use strict";${read(name).source}` })

export interface IsolateScript {
  readonly name: string
  readonly source: string
}

/** Run before Pyodide's scripts, in this order. */
export const scriptsBefore = (): IsolateScript[] =>
  ["intrinsics.js", "text-codec.js", "random.js", "wasm-guard.js", "storage-quota.js", "environment.js"].map(readScript)
/** Run after them. */
export const scriptsAfter = (): IsolateScript[] => ["working-folder.js", "bridge.js"].map(readScript)
export const runnerProgram = () => read("runner.py").source

/** Modules of the standard library that are in the snapshot already: importing them costs a call nothing. */
export const preload =
  "import asyncio, base64, bisect, calendar, collections, contextlib, copy, csv, dataclasses, datetime, decimal, enum, fractions, functools, " +
  "hashlib, heapq, itertools, json, math, operator, random, re, statistics, string, textwrap, time, typing, uuid"

export const snapshotSources = (): string[] => [
  ...[...scriptsBefore(), ...scriptsAfter()].map(({ source }) => source),
  runnerProgram(),
  preload,
]
