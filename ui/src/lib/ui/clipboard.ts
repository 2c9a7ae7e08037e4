// The clipboard, also where the browser gives it only to a selection (plain http, older WebKit).

/** Copies `text`, or what it resolves to. */
export async function copy(text: string | (() => Promise<string>)): Promise<void> {
  const ready = typeof text === "string" ? text : await text();
  try {
    await navigator.clipboard.writeText(ready);
  } catch {
    if (!copySelected(ready)) throw new Error("the clipboard cannot be written here");
  }
}

function copySelected(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  const before = document.activeElement as HTMLElement | null;
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus();
  return copied;
}
