// What there is to read about Patchbay itself. The texts are those of the project, packed with the pages,
// so that they fit this version and need no network.

interface Text {
  title: string;
  text: () => Promise<string>;
}

/** The licences, of which a user may choose one. */
export const LICENCES: readonly Text[] = [
  {
    title: "Apache-2.0",
    text: async () => (await import("../../../../LICENSE-APACHE?raw")).default,
  },
  { title: "MIT", text: async () => (await import("../../../../LICENSE-MIT?raw")).default },
];

const found = import.meta.glob<string>("../../../../docs/*.md", {
  query: "?raw",
  import: "default",
});

/** Every document of the folder `docs`, by title. */
export const DOCUMENTS: readonly Text[] = Object.entries(found)
  .map(([path, load]) => ({ title: titleOf(path), text: async () => withoutTitle(await load()) }))
  .sort((a, b) => a.title.localeCompare(b.title));

/** `…/docs/first-webhook.md` → `First webhook`. */
export function titleOf(path: string): string {
  const name = path.replace(/^.*\//, "").replace(/\.md$/, "").replaceAll("-", " ");
  return name.charAt(0).toUpperCase() + name.slice(1);
}

/** A document without its first heading, which stands above it already. */
export function withoutTitle(text: string): string {
  return text.replace(/^\s*#\s[^\n]*\n/, "");
}

/** What of others is in these pages and is seen. */
export const PARTS = [
  { title: "Inter", text: "Text", licence: "SIL Open Font License 1.1" },
  { title: "JetBrains Mono", text: "Times, ids and bodies", licence: "SIL Open Font License 1.1" },
  { title: "Lucide", text: "Icons", licence: "ISC" },
] as const;

/** `macos` → `macOS`. */
export function platformName(platform: string): string {
  return { linux: "Linux", macos: "macOS", windows: "Windows" }[platform] ?? platform;
}
