// Bytes as something to read.

/** Bytes that are no text are shown up to here. */
const HEX_LIMIT = 16 * 1024;

export type Readable = { kind: "text" | "bytes"; text: string };

/** The text that `bytes` are in UTF-8, or what they look like in hexadecimal. */
export function decode(bytes: Uint8Array): Readable {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return { kind: "text", text };
  } catch {
    // Not UTF-8.
  }
  return { kind: "bytes", text: hex(bytes) };
}

function hex(bytes: Uint8Array): string {
  const lines: string[] = [];
  const shown = bytes.subarray(0, HEX_LIMIT);
  for (let at = 0; at < shown.length; at += 16) {
    const part = [...shown.subarray(at, at + 16)];
    const pairs = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = part
      .map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "."))
      .join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${pairs.padEnd(47)}  ${letters}`);
  }
  if (bytes.length > HEX_LIMIT) lines.push(`… and ${bytes.length - HEX_LIMIT} more bytes`);
  return lines.join("\n");
}
