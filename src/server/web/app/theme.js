// Runs before the first paint, so that a dark page never flashes white. The choice is "light", "dark" or absent (the system's).
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem('baleen.theme');
  } catch {
    // A browser that keeps nothing: the system's choice it is.
  }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
})();
