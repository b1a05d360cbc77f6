// The bar that plays, pauses, steps and scrubs through the cells of a tensor, in raster order.

import { button, choices, el, freshId, replace, svg } from "./dom.js";

const PLAYBACK_PAUSE = 800; // milliseconds a step at speed 1
const PLAYBACK_SPEEDS = [["0.5", "½×"], ["1", "1×"], ["3", "3×"], ["10", "10×"], ["30", "30×"]];

/**
 * Return { element, refresh, pause, playing, keydown } of a playback bar.
 *
 * count() is the number of steps, row() those of a row (what arrows up and down move by); get() the
 * step shown and set(step, playing) shows one; name(step) says what it is; label names the bar.
 */
export function createPlayback({ label, count, row, get, set, name }) {
  const id = freshId("playback");
  let [timer, speed] = [0, "1"];
  const go = (step) => set(Math.min(Math.max(step, 0), count() - 1), Boolean(timer));
  const hand = (step) => {
    pause();
    go(step);
  };
  const first = playbackButton("M4 3v10M13 3L6 8l7 5z", "First", () => hand(0));
  const back = playbackButton("M11 3L4 8l7 5z", "One step back", () => hand(get() - 1));
  const play = button("", () => flip(), { class: "playback-play primary" });
  const [start, stop] = ["M5 3l8 5-8 5z", "M4.5 3v10M11.5 3v10"].map(playbackSign);
  const on = playbackButton("M5 3l7 5-7 5z", "One step on", () => hand(get() + 1));
  const last = playbackButton("M12 3v10M3 3l7 5-7 5z", "Last", () => hand(count() - 1));
  const range = el("input", { type: "range", id, min: 0, step: 1, class: "playback-range",
    onInput: () => hand(Number(range.value)) });
  const shown = el("output", { class: "playback-name", for: id });
  const pace = choices("Speed", { options: PLAYBACK_SPEEDS.map(([value, text]) => (
    { value, label: text })), get: () => speed, set: (value) => { speed = value; } });
  const element = el("div", { class: "playback", role: "group", "aria-label": label },
    el("div", { class: "playback-buttons" }, first, back, play, on, last),
    el("div", { class: "playback-scrub" },
      el("label", { class: "visually-hidden", htmlFor: id }, `${label}: step`), range, shown),
    pace.element);

  function tick() {
    if (!element.offsetParent || get() >= count() - 1) {
      pause();
      return;
    }
    go(get() + 1);
    timer = setTimeout(tick, PLAYBACK_PAUSE / Number(speed));
  }

  function pause() {
    if (!timer) return;
    clearTimeout(timer);
    timer = 0;
    refresh();
  }

  function flip() {
    if (timer) {
      pause();
      return;
    }
    const again = get() >= count() - 1;
    timer = setTimeout(tick, PLAYBACK_PAUSE / Number(speed));
    go(again ? 0 : get());
    refresh();
  }

  function refresh() {
    const [step, steps] = [get(), count()];
    range.max = steps - 1;
    range.value = step;
    range.style.setProperty("--share", `${(steps > 1 ? step / (steps - 1) : 1) * 100}%`);
    range.setAttribute("aria-valuetext", name(step));
    shown.textContent = name(step);
    replace(play, timer ? stop : start, timer ? " Pause" : " Play");
    [first, back].forEach((node) => { node.disabled = step <= 0; });
    [on, last].forEach((node) => { node.disabled = step >= steps - 1; });
  }

  /** Space plays and pauses; the arrows step, and move by a row, where no control takes them. */
  function keydown(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { target } = event;
    const typing = target.closest("input, select, textarea, summary, button, a");
    if (event.key === " " && !typing) {
      event.preventDefault();
      flip();
      return;
    }
    if (typing || target.closest("[role=grid]")) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row(), ArrowDown: row() }[event.key];
    if (!by) return;
    event.preventDefault();
    hand(get() + by);
  }

  refresh();
  return { element, refresh, pause, playing: () => Boolean(timer), keydown };
}

function playbackButton(path, text, onClick) {
  return button(playbackSign(path), onClick, { class: "playback-step icon", "aria-label": text,
    title: text });
}

/** Return a sign drawn by a path in 16 by 16: fonts lack some of those for players. */
function playbackSign(path) {
  return svg("svg", { class: "playback-sign", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: path }));
}
