import { sveltekit } from "@sveltejs/kit/vite";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/**
 * Takes the inline style off SvelteKit's page announcer, which our policy would refuse (and report)
 * on every page. `base.css` hides the announcer instead.
 */
function announcerWithoutInlineStyle(): Plugin {
  return {
    name: "announcer-without-inline-style",
    enforce: "pre",
    transform(code, id) {
      if (!id.endsWith("generated/root.svelte")) return null;
      const without = code.replace(/(id="svelte-announcer"[^>]*?)\s+style="[^"]*"/, "$1");
      if (without === code)
        this.error("SvelteKit's root no longer has the style that this removes");
      return { code: without, map: null };
    },
  };
}

export default defineConfig({
  plugins: [announcerWithoutInlineStyle(), sveltekit()],
  // Nothing is inlined as `data:`, since the policy takes fonts and scripts from files only.
  build: { target: ["es2022", "safari17.4", "chrome120"], assetsInlineLimit: 0 },
  server: {
    proxy: { "/api": { target: process.env.PATCHBAY_API ?? "http://127.0.0.1:4700" } },
  },
  test: {
    include: ["src/**/*.test.ts"],
    environment: "node",
  },
});
