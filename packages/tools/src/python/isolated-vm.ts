/**
 * isolated-vm, loaded from the very file that the host named on the command line: the jailed process may read that one file and
 * needs no search through node_modules. For the jailed process only.
 */
import { createRequire } from "node:module"
import type IsolatedVm from "isolated-vm"

const addon = process.argv[2]
if (!addon) throw new Error("The jailed process needs the path of isolated-vm's addon as its first argument.")

export const ivm = (createRequire(import.meta.url)(addon) as { readonly ivm: typeof IsolatedVm }).ivm
