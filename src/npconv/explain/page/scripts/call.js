// The call: what is on screen as Python, by npconv and by PyTorch, to copy; and the link.

import { torchCall } from "./call-torch.js";
import { pythonCall } from "./call-python.js";
import { copyButton } from "./copy.js";
import { el, replace, tabs, toggle } from "./dom.js";
import { linkOf } from "./link.js";

const CALL_DIALECTS = [["npconv", "npconv", pythonCall], ["torch", "PyTorch", torchCall]];

/** Build the section in host; it follows the store. */
export function mountCall(host, store) {
  const wanted = { dialect: "npconv", written: false, gradients: false };
  const items = CALL_DIALECTS.map(([id, label, make]) => callPanel(store, wanted, id, label, make));
  const change = (name) => (value) => {
    wanted[name] = value;
    refresh();
  };
  const kinds = tabs("Spelling", items, { get: () => wanted.dialect, set: change("dialect") });
  const switches = [["written", "Write the numbers too"], ["gradients", "Gradients too"]].map(
    ([name, label]) => toggle(label, { get: () => wanted[name], set: change(name) }));
  const link = el("input", { class: "call-link", type: "text", readonly: true,
    "aria-label": "Link to what is on screen", onFocus: () => link.select() });
  host.append(el("div", { class: "panel stack" },
    el("div", { class: "call-switches" }, switches.map(({ element }) => element)), kinds.element));
  host.append(el("div", { class: "call-share" },
    el("div", {}, el("h3", {}, "The link"),
      el("p", { class: "note" }, "It holds the geometry, the numbers that you changed, and the "
        + "kernel of the photo. It opens this file as it stands now.")),
    el("div", { class: "call-link-row" }, link,
      copyButton("Copy link", () => link.value, "Link copied."))));
  let frame = 0;
  function refresh() {
    frame = 0;
    kinds.refresh();
    switches.forEach((each) => each.refresh());
    items.forEach((item) => item.refresh());
    link.value = linkOf(store);
  }
  const later = () => { if (!frame) frame = requestAnimationFrame(refresh); };
  store.subscribe((_, changed) => { if (changed.some((key) => key !== "focus")) later(); });
  document.addEventListener("linkchange", later);
  refresh();
}

function callPanel(store, wanted, id, label, make) {
  const code = el("code");
  const notes = el("ul", { class: "call-notes" });
  const box = el("pre", { class: "call-code", tabIndex: 0, role: "region",
    "aria-label": `The call in ${label}` }, code);
  let text = "";
  const copy = copyButton("Copy", () => `${text}\n`, `The call in ${label} copied.`,
    { class: "call-copy", "aria-label": `Copy the call in ${label}` });
  const panel = el("div", { class: "stack" }, el("div", { class: "call-frame" }, box, copy), notes);
  const refresh = () => {
    const made = make(store.get(), wanted);
    notes.hidden = !made.notes.length;
    replace(notes, made.notes.map((note) => el("li", { text: note })));
    if (made.text === text) return;
    text = made.text;
    replace(code, text.split("\n").flatMap((line, at) => [at ? "\n" : "", callColoured(line)]));
  };
  return { id, label, panel, refresh };
}

/** A line of Python with its comment set back. */
function callColoured(line) {
  const at = line.indexOf("#");
  if (at < 0) return line;
  return [line.slice(0, at), el("span", { class: "call-comment", text: line.slice(at) })];
}
