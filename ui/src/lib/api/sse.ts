// Server-sent events, read from the pieces of a streaming `fetch` answer. `EventSource` cannot send
// the session token, so the few rules of the format are here.

/** One message of the stream. */
export interface Message {
  /** The stream's own id for it, to go on from after a break; empty where it has none. */
  id: string;
  data: string;
}

/** Returns a function that takes the next piece of text and gives the messages it completes. */
export function parser(): (piece: string) => Message[] {
  let rest = "";
  let data: string[] = [];
  let id = "";

  return (piece) => {
    const messages: Message[] = [];
    // A CR at the end may be the first half of a CRLF, so it waits for what comes next.
    const text = rest + piece;
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";

    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) messages.push({ id, data: data.join("\n") });
        data = [];
        continue;
      }
      const colon = line.indexOf(":");
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (name === "data") data.push(value);
      if (name === "id" && !value.includes("\0")) id = value;
    }
    return messages;
  };
}
