/**
 * Writes a Python number the way JSON does, from text to text, so that no digit is lost on the way. Numbers without a JSON
 * form, and what is no number, are refused. Rules: "Numeric literals" in Python's reference.
 */

/** A Python number as JSON writes it, with all its digits; undefined for what is no number, or no finite one. */
export function numberInJson(number: string): string | undefined {
  const sign = number.startsWith("-") ? "-" : ""
  const text = number.replace(/^[-+]/, "")
  const plain = text.replaceAll("_", "")
  if (!/^[0-9a-zA-Z.+-]*$/.test(plain) || /__|_$|^_|^0_[a-zA-Z]|_[.eE+-]|[.eE+-]_/.test(text)) return undefined
  const integer = integerInJson(plain)
  if (integer !== undefined) return Number.isFinite(Number(integer)) ? `${sign}${integer}` : undefined
  const float = /^([0-9]*)(\.?)([0-9]*)((?:[eE][-+]?[0-9]+)?)$/.exec(plain)
  if (float === null || `${float[1]}${float[3]}` === "" || (float[2] === "" && float[4] === "")) return undefined
  const [, whole = "", point = "", fraction = "", exponent = ""] = float
  if (!Number.isFinite(Number(`${whole || "0"}.${fraction || "0"}${exponent}`))) return undefined
  return `${sign}${whole.replace(/^0+(?=.)/, "") || "0"}${point === "" ? "" : `.${fraction || "0"}`}${exponent}`
}

function integerInJson(plain: string): string | undefined {
  if (/^0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)$/.test(plain)) return `${BigInt(plain)}`
  return /^(?:0+|[1-9][0-9]*)$/.test(plain) ? plain.replace(/^0+(?=.)/, "") : undefined
}
