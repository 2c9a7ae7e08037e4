import { expect, test } from "vitest";
import { program } from "./program.svelte";

test("commands are shown as they can be typed here", () => {
  program.path = '"/opt/my apps/patchbay"';
  expect(program.command("patchbay vault init")).toBe('"/opt/my apps/patchbay" vault init');
  expect(program.command("patchbay")).toBe('"/opt/my apps/patchbay"');
  expect(program.command("patchbay-desktop --hidden")).toBe("patchbay-desktop --hidden");
});
