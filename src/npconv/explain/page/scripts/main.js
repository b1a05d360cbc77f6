// The page: reads what npconv wrote, makes the store, and mounts every view.

import { mountAlgorithms } from "./algorithms.js";
import { mountBackward } from "./backward.js";
import { mountCall } from "./call.js";
import { compare } from "./check.js";
import { copyButton } from "./copy.js";
import { el } from "./dom.js";
import { mountHero } from "./hero.js";
import { linkFollow, linkOf, linkRead, mountLink } from "./link.js";
import { mountOperation } from "./operation.js";
import { mountPhoto } from "./photo.js";
import { createStore } from "./state.js";
import { mountTheme } from "./theme.js";

const MAIN_VIEWS = [["operation", mountOperation], ["backward", mountBackward],
  ["algorithms", mountAlgorithms], ["photo", mountPhoto], ["call", mountCall]];

/** Build the whole page. */
export function startPage() {
  const given = JSON.parse(document.getElementById("given").textContent);
  const store = createStore(given);
  store.set({ checked: compare(given) });
  const tools = document.getElementById("tools");
  mountHero(store, given);
  const section = mainSections();
  linkFollow(section.shown);
  for (const [name, mount] of MAIN_VIEWS) {
    const host = document.getElementById(`${name}-view`);
    try {
      mount(host, store, given);
    } catch (error) {
      // One view that fails leaves the others standing.
      host.append(el("p", { class: "fault", text: `This part could not be drawn: ${error.message}` }));
      console.error(error);
    }
  }
  const { view } = linkRead(store, location.hash);
  tools.append(copyButton("Copy link", () => linkOf(store), "Link copied.", { class: "quiet" }));
  mountTheme(tools, store);
  mountLink(store);
  section.look();
  if (!view || view === "operation") return;
  // The views find their heights in the first frames.
  requestAnimationFrame(() => requestAnimationFrame(() => section.show(view, false)));
}

/** Follow which section is on screen, in the bar too: return { shown, show, look }. */
function mainSections() {
  const links = [...document.querySelectorAll(".bar nav a")];
  const ids = links.map((link) => link.hash.slice(1));
  let current = "";
  const mark = (id) => {
    if (id === current) return;
    current = id;
    links.forEach((link, at) => {
      if (ids[at] === id) {
        link.setAttribute("aria-current", "true");
        const strip = link.closest("nav");
        strip.scrollTo?.({ left: link.offsetLeft - strip.offsetLeft - 48 });
      } else link.removeAttribute("aria-current");
    });
  };
  const show = (id, move = true) => {
    const target = document.getElementById(id);
    if (!target) return;
    target.scrollIntoView({ behavior: move ? "auto" : "instant" });
    if (move) document.getElementById(`${id}-title`)?.focus({ preventScroll: true });
    mark(id);
  };
  const look = () => {
    const line = innerHeight * 0.35;
    const above = ids.filter((id) => (
      document.getElementById(id).getBoundingClientRect().top <= line));
    const end = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 8;
    mark((end ? ids : above).at(-1) ?? "");
  };
  links.forEach((link, at) => link.addEventListener("click", (event) => {
    event.preventDefault();
    show(ids[at]);
  }));
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
    document.getElementById("operation").scrollIntoView();
  });
  let frame = 0;
  addEventListener("scroll", () => {
    if (!frame) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        look();
      });
    }
  }, { passive: true });
  addEventListener("resize", look);
  return { shown: () => current || "operation", show, look };
}

startPage();
