// Runs before the first paint: a chosen theme must not flash as the other one.
(() => {
  const chosen = localStorage.getItem("smelt.theme");
  if (chosen === "light" || chosen === "dark") {
    document.documentElement.dataset.theme = chosen;
  }
})();
