// Whose the data is: a second window, a window beside `patchbay serve`, the command line beside a
// window.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { api, folder, Program, serving, until, Window } from "./desktop.mjs";

const sealed = (place) => ["--vault", "file", "--vault-key-file", join(place, "vault.key")];

test("a second start shows the window that there is", async (t) => {
  const window = await Window.open(t, { args: ["--hidden"] });
  assert.equal(await window.isShown(), false);

  const quiet = Program.desktop(t, window.dataDir, { args: ["--hidden"] });
  assert.equal(await quiet.ended, 0, quiet.said);
  assert.equal(await window.isShown(), false);

  const second = Program.desktop(t, window.dataDir);
  assert.equal(await second.ended, 0, second.said);
  await until("the first window", () => window.isShown());
});

test("the window beside `patchbay serve` shows what it has, and when it is gone and back", async (t) => {
  const place = folder(t);
  const dataDir = join(place, "data");
  const key = Program.patchbay(t, ["vault", "init", "--vault-key-file", join(place, "vault.key")]);
  assert.equal(await key.ended, 0, key.said);
  const host = await Program.serve(t, dataDir, sealed(place));
  const inbox = (name) => api(dataDir, "POST", "/api/inboxes", { name, connector: "any" });
  await inbox("Before the window");
  const window = await Window.open(t, { dataDir });

  await window.watched(async () => {
    assert.equal(serving(dataDir).pid, host.child.pid);
    await window.click("//a[contains(., 'Inboxes')]");
    await window.sees("Before the window");
    await inbox("While it is open");
    await window.sees("While it is open");

    assert.equal(await host.stop(), 0);
    await window.sees("Patchbay does not answer");
    await window.picture("window-host-gone.png");

    await Program.serve(t, dataDir, sealed(place));
    await until("the pages again", async () => !(await window.text()).includes("does not answer"));
    await inbox("After it came back");
    await window.sees("After it came back");
    assert.deepEqual(window.faults(), []);
  });

  // It is one window for all that: another start brings it to the front.
  const second = Program.desktop(t, dataDir);
  assert.equal(await second.ended, 0, second.said);
});

test("the command line works beside the window", async (t) => {
  const { dataDir } = await Window.open(t);
  const { local_url } = await api(dataDir, "POST", "/api/inboxes", { name: "Shell", connector: "any" });
  const tail = Program.patchbay(t, ["events", "tail", "--json", "--data-dir", dataDir]);
  // It says nothing until there is something to say, so it is sent until it is heard.
  await until("the event in the shell", async () => {
    await fetch(local_url, { method: "POST", body: '{"type":"hello"}' });
    return tail.said.includes('"inbox"');
  });

  const list = Program.patchbay(t, ["syncs", "list", "--json", "--data-dir", dataDir]);
  assert.equal(await list.ended, 0, list.said);
  assert.deepEqual(JSON.parse(list.said).syncs, []);

  const serve = Program.patchbay(t, ["serve", "--data-dir", dataDir]);
  assert.equal(await serve.ended, 3, serve.said);
});

test("without a display it says what to do", async (t) => {
  const none = { DISPLAY: "", WAYLAND_DISPLAY: "" };
  const start = Program.desktop(t, join(folder(t), "data"), { env: none });

  assert.equal(await start.ended, 1);
  assert.match(start.said, /no display.*\n.*patchbay serve/);
});
