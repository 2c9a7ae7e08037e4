// A newcomer opens the sandbox shop, allows it in its consent window, sees an event arrive by
// itself, and ends cleanly.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { allowSandbox, lives, serving, until, Window } from "./desktop.mjs";

test("a newcomer connects the sandbox and sees an event arrive", async (t) => {
  const window = await Window.open(t, { args: ["--sandbox"] });
  await window.watched(async () => {
    await allowSandbox(window);

    await window.click("//button[contains(., 'order.created')]");
    await window.sees("signed by");
    await window.picture("window.png");
    assert.deepEqual(window.faults(), []);
  });

  // As a logout ends it.
  const { pid } = serving(window.dataDir);
  process.kill(pid, "SIGTERM");
  await until("a clean end", () => !lives(pid));
  assert.throws(() => readFileSync(join(window.dataDir, "serve.json")), { code: "ENOENT" });
});
