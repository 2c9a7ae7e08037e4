// Sets the chosen theme before the first paint, so that a dark page never flashes white.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
  document.documentElement.dataset.density = localStorage.getItem("density") ?? "comfortable";
} catch {
  document.documentElement.dataset.theme = "system";
}
