// Saving bytes as a file.

/** Hands `bytes` to the browser as a file of this name. They are never shown as a page. */
export function download(name: string, bytes: Uint8Array<ArrayBuffer> | string) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The click has been taken up by then; the bytes need not stay.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
