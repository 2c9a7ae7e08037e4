import { sveltekit } from "@sveltejs/kit/vite";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Components of others that carry an inline style, which our policy would refuse and report. */
const STYLED = [
  // SvelteKit's page announcer; `base.css` hides it instead.
  {
    file: /generated\/root\.svelte$/,
    style: /(id="svelte-announcer"[^>]*?)\s+style="[^"]*"/g,
    instead: "$1",
  },
  // Items of a list that can be searched.
  {
    file: /bits-ui\/dist\/bits\/command\/components\/command-(item|group-items|link-item)\.svelte$/,
    style: /style="display: contents;"/g,
    instead: 'class="contents"',
  },
];

/** Takes those styles off, and fails where one is no longer as it was. */
function withoutInlineStyles(): Plugin {
  return {
    name: "without-inline-styles",
    enforce: "pre",
    transform(code, id) {
      const styled = STYLED.find((each) => each.file.test(id));
      if (!styled) return null;
      const without = code.replace(styled.style, styled.instead);
      if (without === code) this.error(`${id} no longer has the style that this takes off`);
      return { code: without, map: null };
    },
  };
}

export default defineConfig({
  plugins: [withoutInlineStyles(), sveltekit()],
  // Nothing is inlined as `data:`, since the policy takes fonts and scripts from files only.
  build: { target: ["es2022", "safari17.4", "chrome120"], assetsInlineLimit: 0 },
  server: {
    // The licences and the documents lie beside this folder.
    fs: { allow: [".."] },
    proxy: { "/api": { target: process.env.PATCHBAY_API ?? "http://127.0.0.1:4700" } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
