import svelte from "eslint-plugin-svelte";
import globals from "globals";
import ts from "typescript-eslint";
import svelteConfig from "./svelte.config.js";

export default ts.config(
  { ignores: ["build/", ".svelte-kit/", "node_modules/", "src/lib/api/schema.d.ts", "static/"] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ["**/*.svelte", "**/*.svelte.ts"],
    languageOptions: {
      parserOptions: { parser: ts.parser, extraFileExtensions: [".svelte"], svelteConfig },
    },
  },
  {
    rules: {
      // What other people send is text, never markup.
      "svelte/no-at-html-tags": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "What other people send is text, never markup." },
        { property: "outerHTML", message: "What other people send is text, never markup." },
        {
          property: "insertAdjacentHTML",
          message: "What other people send is text, never markup.",
        },
      ],
      // Our policy refuses `style="…"`; `style:name={…}` goes through the object model and is fine.
      "no-restricted-syntax": [
        "error",
        {
          selector: 'SvelteAttribute[key.name="style"]',
          message: "Use a class or `style:name={…}`.",
        },
      ],
      // Addresses have no base path: both hosts serve the page from the root.
      "svelte/no-navigation-without-resolve": "off",
      "@typescript-eslint/no-unused-vars": [
        "error",
        { argsIgnorePattern: "^_", varsIgnorePattern: "^_" },
      ],
    },
  },
);
