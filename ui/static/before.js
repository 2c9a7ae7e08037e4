// What must be so before the page's own scripts run.

// The chosen theme stands before the first paint, so that a dark page never flashes white.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
  document.documentElement.dataset.density = localStorage.getItem("density") ?? "comfortable";
} catch {
  document.documentElement.dataset.theme = "system";
}

// WebKitGTK tells the language `C` where the locale is `C.UTF-8`, as on many servers. That is no
// language, and libraries that format numbers in it do not even load.
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true });
  Object.defineProperty(navigator, "languages", { value: ["en-US"], configurable: true });
}
