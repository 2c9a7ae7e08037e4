// The window's other life: hidden, in the tray, started with the computer.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { api, folder, lives, Panel, Program, serving, until, Window } from "./desktop.mjs";

test("closed, it goes on and says so once; the tray shows it and quits", async (t) => {
  const panel = await Panel.open(t);
  const window = await Window.open(t);
  await panel.next("tray");
  const { pid } = serving(window.dataDir);

  panel.tell("close Patchbay");
  await until("the hidden window", async () => !(await window.isShown()));
  const told = await panel.next("notification");
  assert.equal(told.title, "Patchbay goes on receiving");
  assert.match(told.body, /icon in the tray/);
  await until("it to be noted", async () => (await api(window.dataDir, "GET", "/api/settings")).close_explained);

  panel.tell(`click ${told.id}`);
  await until("the window after a click on the notice", () => window.isShown());

  panel.tell("close Patchbay");
  await until("the hidden window", async () => !(await window.isShown()));
  assert.deepEqual(await panel.menu(), ["Open Patchbay", "Reachable from this computer only", "Quit Patchbay"]);
  panel.tell("press Open Patchbay");
  await until("the window from the tray", () => window.isShown());
  assert.equal(panel.waiting("notification"), 0, "it was said a second time");
  assert.deepEqual(window.faults(), []);

  panel.tell("press Quit Patchbay");
  await until("the end", () => !lives(pid));
  assert.equal(existsSync(join(window.dataDir, "serve.json")), false);
});

test("without a tray it says how to see the window again", async (t) => {
  const window = await Window.open(t);
  // Notifications, and no tray: the panel comes when the window has looked for one.
  const panel = await Panel.open(t, ["--no-tray"]);

  panel.tell("close Patchbay");
  const told = await panel.next("notification");
  assert.equal(told.body, "Start Patchbay again to see the window.");
  await until("the hidden window", async () => !(await window.isShown()));
  const second = Program.desktop(t, window.dataDir);
  assert.equal(await second.ended, 0, second.said);
  await until("the window", () => window.isShown());
});

test("it starts with the computer, hidden, as long as the switch is on", async (t) => {
  const config = join(folder(t), "con fig");
  const window = await Window.open(t, { env: { XDG_CONFIG_HOME: config } });
  const entry = join(config, "autostart", "patchbay-desktop.desktop");
  const flip = (from) =>
    window.click(
      `//button[@role='switch' and @aria-label='Start with the computer'` +
        ` and @aria-checked='${from}' and not(@disabled)]`,
    );
  await window.watched(async () => {
    await window.click("//a[contains(., 'Settings')]");
    await flip(false);
    const text = await until("the entry", () => readFileSync(entry, "utf8"));
    assert.match(text, /^Exec="\/.*patchbay-desktop" "--hidden" "--data-dir" "\/.*"/m);
    execFileSync("desktop-file-validate", [entry]);
    await flip(true);
    await until("no entry", () => !existsSync(entry));
  });
});

test("the pages quit it, too: a desktop may have no tray", async (t) => {
  const window = await Window.open(t);
  const { pid } = serving(window.dataDir);
  await window.click("//a[contains(., 'Settings')]");
  await window.click("//button[contains(., 'Quit Patchbay…')]");
  await window.sees("webhooks reach nobody");
  await window.clickToEnd("//button[normalize-space() = 'Quit Patchbay']");
  await until("the end", () => !lives(pid));
  assert.equal(existsSync(join(window.dataDir, "serve.json")), false);
});
