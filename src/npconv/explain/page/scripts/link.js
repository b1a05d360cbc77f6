// The link: the state in location.hash, written as it changes and read at the start.

import { decode, encode } from "./state.js";

const linkParts = new Map();
let linkSection = () => "operation";

/** Let a view keep something of its own in the link: write() returns "key=value&..." or "". */
export function linkRegister(name, { write, read }) {
  linkParts.set(name, { write, read });
}

/** Say which section is on screen when a link is made: section() returns its id. */
export function linkFollow(section) {
  linkSection = section;
}

/** Return the text behind "#". */
export function linkHash(store) {
  const own = encode({ ...store.get(), view: linkSection() });
  return [own, ...[...linkParts.values()].map(({ write }) => write())].filter(Boolean).join("&");
}

/** Return the whole link to what is on screen. */
export function linkOf(store) {
  const hash = linkHash(store);
  return location.href.replace(/#.*$/, "") + (hash ? `#${hash}` : "");
}

/** Set what a link says: the store's part, and that of each view registered. */
export function linkRead(store, hash) {
  const fields = new Map(String(hash).replace(/^#/, "").split("&").map((part) => {
    const at = part.indexOf("=");
    return at < 0 ? [part, ""] : [part.slice(0, at), linkText(part.slice(at + 1))];
  }));
  linkParts.forEach(({ read }) => read(fields));
  const patch = decode(hash);
  if (Object.keys(patch).length) store.set(patch);
  return patch;
}

function linkText(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Say that something in the link changed which is not in the store. */
export function linkChanged() {
  document.dispatchEvent(new Event("linkchange"));
}

/** Write the hash a moment after each change, and read the one that a visitor pastes. */
export function mountLink(store) {
  let timer = 0;
  let written = location.hash;
  const write = () => {
    if (location.hash !== written) return; // pasted just now: "hashchange" is about to read it
    const hash = linkHash(store);
    try {
      history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    } catch {
      return; // a page in a frame may not
    }
    written = location.hash;
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(write, 400);
  };
  store.subscribe((_, changed) => { if (changed.some((key) => key !== "focus")) later(); });
  document.addEventListener("linkchange", later);
  globalThis.addEventListener("hashchange", () => {
    if (location.hash === written) return;
    written = location.hash;
    if (!written.includes("=")) return;
    store.reset();
    linkRead(store, location.hash);
  });
}
