// The little Markdown that connectors explain themselves with, made into a tree. Components show the
// tree; there is no HTML on the way, so a connector can say anything and do nothing.

export type Inline =
  | { kind: "text" | "strong" | "emphasis" | "code"; text: string }
  | { kind: "link"; text: string; href: string };

export type Block =
  | { kind: "paragraph" | "heading"; inline: Inline[] }
  | { kind: "code"; text: string }
  /** `start` where something stands between items: the list after it goes on counting. `below` where it
   *  belongs to an item of the list before. */
  | { kind: "list"; ordered: boolean; items: Inline[][]; start?: number; below?: true };

const INLINE =
  /\*\*(?<strong>[^*]+)\*\*|\*(?<emphasis>[^*]+)\*|`(?<code>[^`]+)`|\[(?<link>[^\]]+)\]\((?<href>[^)\s]+)\)|<(?<bare>https?:\/\/[^>\s]+)>/g;

/** Parts of a line. */
export function inline(text: string): Inline[] {
  const out: Inline[] = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > at) out.push({ kind: "text", text: text.slice(at, match.index) });
    const { strong, emphasis, code, link, href, bare } = match.groups ?? {};
    if (strong) out.push({ kind: "strong", text: strong });
    else if (emphasis) out.push({ kind: "emphasis", text: emphasis });
    else if (code) out.push({ kind: "code", text: code });
    else if (link && href) out.push({ kind: "link", text: link, href });
    else if (bare) out.push({ kind: "link", text: bare, href: bare });
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push({ kind: "text", text: text.slice(at) });
  return out;
}

const ITEM = /^\s*(?:([-*+])|(\d+)[.)])\s+(.*)$/;

/** Paragraphs, headings, lists and code of a text. */
export function blocks(text: string): Block[] {
  const out: Block[] = [];
  let fence: string[] | null = null;
  /** How far the code is indented, as it is below an item. */
  let indent = 0;
  /** What is being read: it ends with an empty line, or where something else begins. */
  const now: {
    paragraph: string[] | null;
    list: { ordered: boolean; items: string[]; start: number; below: boolean } | null;
  } = {
    paragraph: null,
    list: null,
  };

  const close = () => {
    const { paragraph, list } = now;
    if (paragraph) out.push({ kind: "paragraph", inline: inline(paragraph.join(" ")) });
    if (list) {
      const { ordered, start, below } = list;
      const items = list.items.map(inline);
      out.push({
        kind: "list",
        ordered,
        items,
        ...(start > 1 ? { start } : {}),
        ...(below ? { below } : {}),
      });
    }
    now.paragraph = null;
    now.list = null;
  };

  for (const line of text.split(/\r?\n/)) {
    if (line.trimStart().startsWith("```")) {
      if (fence) out.push({ kind: "code", text: fence.join("\n") });
      else close();
      indent = line.length - line.trimStart().length;
      fence = fence ? null : [];
      continue;
    }
    if (fence) {
      fence.push(line.slice(Math.min(indent, line.length - line.trimStart().length)));
      continue;
    }
    const item = ITEM.exec(line);
    const heading = /^#{1,6}\s+(.*)$/.exec(line);
    if (line.trim() === "") {
      if (now.paragraph) close();
    } else if (heading) {
      close();
      out.push({ kind: "heading", inline: inline(heading[1] ?? "") });
    } else if (item) {
      const ordered = item[1] === undefined;
      const below = /^\s{2,}/.test(line);
      if (now.paragraph || now.list?.ordered !== ordered || now.list.below !== below) close();
      now.list ??= { ordered, items: [], start: Number(item[2] ?? 1), below };
      now.list.items.push(item[3] ?? "");
    } else if (now.list && /^\s/.test(line)) {
      now.list.items.push(`${now.list.items.pop()} ${line.trim()}`);
    } else {
      if (now.list) close();
      now.paragraph = [...(now.paragraph ?? []), line.trim()];
    }
  }
  if (fence) out.push({ kind: "code", text: fence.join("\n") });
  close();
  return out;
}
