/** Parses JSON as servers write it: numbers that a double cannot hold are kept as text, and Python's NaN is null. */

interface RawJson {
  readonly rawJSON?: (text: string) => object;
}

/** Absent in Node 20, which loses the digits. */
const { rawJSON } = JSON as RawJson;

/** An integer of 16 digits or more, or an exponent of three digits. Decimals are not matched: vectors are full of them. */
const mayLoseDigits = /[:,\s[-][1-9]\d{15,}(?=[\s,\]}])|\d[eE]\+?\d{3}/;

/** @throws SyntaxError */
export function parseJson(text: string): unknown {
  try {
    return parseWithDigits(text);
  } catch (error) {
    if (!/NaN|Infinity/.test(text)) throw error;
    return parseWithDigits(text.replace(pythonNumber, (token) => (token.startsWith('"') ? token : 'null')));
  }
}

/** Strings are matched too, so that their content is not replaced. */
const pythonNumber = /"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/gs;

type Revive = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;

const keepDigits: Revive = (_key, value, { source }) => {
  if (typeof value !== 'number' || source === undefined) return value;
  const isExact = Number.isFinite(value) && (!/^-?\d{16,}$/.test(source) || String(value) === source);
  return isExact ? value : rawJSON!(source);
};

function parseWithDigits(text: string): unknown {
  if (!rawJSON || !mayLoseDigits.test(text)) return JSON.parse(text);
  return (JSON.parse as (json: string, revive: Revive) => unknown)(text, keepDigits);
}
