import adapter from "@sveltejs/adapter-static";
import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

/**
 * One static build for both hosts: every address that is not a file is answered with
 * `index.html`, and the page finds its way from there.
 *
 * The policy below ends up in a `<meta>` of that file, with the hash of the one inline script that
 * SvelteKit needs. Hosts send it as a header too, and may only make it narrower.
 *
 * @type {import("@sveltejs/kit").Config}
 */
export default {
  preprocess: vitePreprocess(),
  kit: {
    adapter: adapter({ pages: "build", assets: "build", fallback: "index.html" }),
    paths: { relative: false },
    version: { pollInterval: 0 },
    csp: {
      mode: "hash",
      directives: {
        "default-src": ["none"],
        "script-src": ["self"],
        "style-src": ["self"],
        "img-src": ["self", "data:"],
        "font-src": ["self"],
        // The last two are how the page in the window reaches its host.
        "connect-src": ["self", "ipc:", "http://ipc.localhost"],
        "base-uri": ["none"],
        "form-action": ["none"],
        "object-src": ["none"],
      },
    },
  },
  compilerOptions: {
    runes: ({ filename }) => (filename.includes("node_modules") ? undefined : true),
  },
};
