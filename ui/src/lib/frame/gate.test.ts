import { expect, test } from "vitest";
import type { Status } from "$lib/api/client";
import { gate } from "./gate";

const status = (more: {
  startup?: Partial<Status["startup"]>;
  vault?: Partial<Status["vault"]>;
  full?: boolean;
}) =>
  ({
    startup: { state: "ready", ...more.startup },
    vault: { kind: "keychain", state: "ready", lost: [], ...more.vault },
    disk: { database_bytes: 1, free_bytes: 1, full: more.full ?? false },
  }) as Status;

test("nothing stands in the way where all is ready", () => {
  expect(gate(status({}))).toBeNull();
});

test("data that cannot be opened cannot be passed", () => {
  for (const state of [
    "newer_data",
    "damaged",
    "no_space",
    "owned",
    "unusable",
    "port_taken",
    "failed",
  ] as const) {
    expect(gate(status({ startup: { state } }))).toMatchObject({ id: state, passable: false });
  }
});

test("the host's own words come before ours", () => {
  const startup = {
    state: "damaged" as const,
    message: "page 7 is torn",
    hint: "Restore a backup.",
  };
  expect(gate(status({ startup }))).toMatchObject({
    text: "Page 7 is torn.",
    hint: "Restore a backup.",
  });
});

test("without a vault the one command that helps is named", () => {
  expect(gate(status({ vault: { state: "missing", kind: "missing" } }))).toMatchObject({
    command: "patchbay vault init",
    passable: true,
  });
});

test("what the system says of its keychain is told to those who ask", () => {
  const message = "there is no keychain: zbus error: I/O error";
  const found = gate(status({ vault: { state: "missing", kind: "missing", message } }));
  expect(found?.detail).toBe(message);
  expect(`${found?.title} ${found?.text} ${found?.hint}`).not.toContain("zbus");
});

test("data that cannot be opened matters more than the vault", () => {
  const both = status({ startup: { state: "owned" }, vault: { state: "locked" }, full: true });
  expect(gate(both)?.id).toBe("owned");
});

test("what has lost its secrets is named, with where to enter them again", () => {
  const lost = [
    { owner: "con_0000000000001", name: "Shop" },
    { owner: "inb_0000000000001", name: "Till" },
    { owner: "tun_0000000000001", name: "Door" },
  ];
  const said = gate(status({ vault: { lost } }));
  expect(said).toMatchObject({ id: "secrets_lost", passable: true });
  expect(said?.list).toEqual([
    {
      href: "/connections?connection=con_0000000000001&again=secrets",
      name: "Shop",
      what: "connection",
    },
    { href: "/inboxes?inbox=inb_0000000000001", name: "Till", what: "inbox" },
    { href: "/inboxes/tunnels", name: "Door", what: "tunnel, to be made again" },
  ]);
});
