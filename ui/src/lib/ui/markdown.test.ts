import { expect, test } from "vitest";
import { blocks, inline } from "./markdown";

test("lines of a paragraph are one", () => {
  expect(blocks("Open the\npage.\n\nThen wait.")).toEqual([
    { kind: "paragraph", inline: [{ kind: "text", text: "Open the page." }] },
    { kind: "paragraph", inline: [{ kind: "text", text: "Then wait." }] },
  ]);
});

test("items belong together, and long ones go on below", () => {
  expect(blocks("1. one\n   more\n2. two\n- apart")).toEqual([
    {
      kind: "list",
      ordered: true,
      items: [[{ kind: "text", text: "one more" }], [{ kind: "text", text: "two" }]],
    },
    { kind: "list", ordered: false, items: [[{ kind: "text", text: "apart" }]] },
  ]);
});

test("words can be strong, code and links", () => {
  expect(inline("Open [dev](https://dev.example), choose **Apps** and `id`.")).toEqual([
    { kind: "text", text: "Open " },
    { kind: "link", text: "dev", href: "https://dev.example" },
    { kind: "text", text: ", choose " },
    { kind: "strong", text: "Apps" },
    { kind: "text", text: " and " },
    { kind: "code", text: "id" },
    { kind: "text", text: "." },
  ]);
});

test("HTML is text", () => {
  expect(inline("<img src=x onerror=alert(1)>")).toEqual([
    { kind: "text", text: "<img src=x onerror=alert(1)>" },
  ]);
});

test("code keeps its lines, even without an end", () => {
  expect(blocks("```sh\na\n\nb")).toEqual([{ kind: "code", text: "a\n\nb" }]);
});

test("code below an item loses its indent, and the list goes on counting", () => {
  expect(blocks("1. one\n\n   ```\n   a\n     b\n   ```\n\n2. two")).toEqual([
    { kind: "list", ordered: true, items: [[{ kind: "text", text: "one" }]] },
    { kind: "code", text: "a\n  b" },
    { kind: "list", ordered: true, items: [[{ kind: "text", text: "two" }]], start: 2 },
  ]);
});

test("a list below an item is told from the one that it interrupts", () => {
  const lists = blocks("1. one\n   - a\n   - b\n2. two").map(
    (each) => each.kind === "list" && [each.ordered, each.items.length, each.start, each.below],
  );
  expect(lists).toEqual([
    [true, 1, undefined, undefined],
    [false, 2, undefined, true],
    [true, 1, 2, undefined],
  ]);
});
