// JSON, indented without being understood: every token stays as it came, so a number of twenty digits
// keeps them all, a key that is there twice stays there twice, and an escape stays an escape.

/** Larger texts are shown as they came, in characters. */
export const PRETTY_LIMIT = 4_000_000;

/** Indents `text`, or returns `null` where it is not JSON. */
export function pretty(text: string): string | null {
  if (text.length > PRETTY_LIMIT || !isJson(text)) return null;
  let out = "";
  let depth = 0;
  let at = 0;
  const line = () => `\n${"  ".repeat(depth)}`;

  while (at < text.length) {
    const character = text[at]!;
    if (/\s/.test(character)) {
      at += 1;
    } else if (character === '"') {
      const end = endOfString(text, at);
      out += text.slice(at, end);
      at = end;
    } else if (character === "{" || character === "[") {
      const next = skipSpace(text, at + 1);
      if (text[next] === "}" || text[next] === "]") {
        out += character + text[next];
        at = next + 1;
      } else {
        depth += 1;
        out += character + line();
        at += 1;
      }
    } else if (character === "}" || character === "]") {
      depth -= 1;
      out += line() + character;
      at += 1;
    } else if (character === ",") {
      out += `,${line()}`;
      at += 1;
    } else if (character === ":") {
      out += ": ";
      at += 1;
    } else {
      const end = endOfWord(text, at);
      out += text.slice(at, end);
      at = end;
    }
  }
  return out;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function endOfWord(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[\s,:[\]{}"]/.test(text[at]!)) at += 1;
  return at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && /\s/.test(text[at]!)) at += 1;
  return at;
}
