// Light and dark: what the system says until the reader chooses.

import { button, svg } from "./dom.js";

/** Return the button that changes between light and dark; the choice is in the store's theme. */
export function mountTheme(host, store) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const icon = svg("svg", { viewBox: "0 0 20 20", width: 18, height: 18, "aria-hidden": true },
    svg("circle", { cx: 10, cy: 10, r: 7, fill: "none", stroke: "currentColor", "stroke-width": 1.75 }),
    svg("path", { d: "M10 3a7 7 0 0 1 0 14z", fill: "currentColor" }));
  const dark = () => {
    const { theme } = store.get();
    return theme === "auto" ? system.matches : theme === "dark";
  };
  const node = button(icon, () => store.set({ theme: dark() ? "light" : "dark" }),
    { class: "quiet icon" });
  host.append(node);
  let shown = "";
  const refresh = () => {
    const { theme } = store.get();
    const next = `${theme} ${dark()}`;
    if (next === shown) return;
    shown = next;
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const text = dark() ? "Change to light" : "Change to dark";
    node.setAttribute("aria-label", text);
    node.title = text;
    document.dispatchEvent(new Event("themechange"));
  };
  system.addEventListener("change", refresh);
  store.subscribe(refresh);
  refresh();
}
