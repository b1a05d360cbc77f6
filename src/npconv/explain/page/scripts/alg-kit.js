// What the algorithms' panels are built from: parts with a heading, steppers, code, terms of sums.

import { button, choices, el, freshId } from "./dom.js";
import { formatNumber } from "./numbers.js";

/** Return a part of a panel: a heading, what it is in small print, and its pictures. */
export function algPart(title, note, ...children) {
  const small = el("p", { class: "alg-note" }, note);
  const head = el("h4", { class: "alg-part-title" }, title);
  return { element: el("div", { class: "alg-part" }, head, small, children), head, small };
}

const ALG_SPEEDS = [
  { value: "1", label: "slow" },
  { value: "5", label: "steady" },
  { value: "40", label: "fast" },
];

/**
 * Return { element, refresh, stop } of the buttons and the bar that go through an algorithm's steps.
 *
 * count() steps, get() the one shown, set(step); caption(step) is read out and written beside it.
 * speed: the choice at first, "1", "5" or "40" steps a second.
 */
export function algStepper({ label, count, get, set, caption, speed = "5" }) {
  const id = freshId("step");
  let timer = 0;
  let pace = speed;
  const bar = el("input", {
    type: "range",
    id,
    min: 0,
    step: 1,
    class: "alg-bar",
    "aria-label": `${label}: step`,
    onInput: () => {
      stop();
      go(Number(bar.value));
    },
  });
  const number = el("output", { class: "alg-count", for: id });
  const play = button("Play", () => (timer ? stop() : start()), { class: "alg-play" });
  const back = button(
    "Back",
    () => {
      stop();
      go(get() - 1);
    },
    { "aria-label": `${label}: one step back` },
  );
  const next = button(
    "Step",
    () => {
      stop();
      go(get() + 1);
    },
    { "aria-label": `${label}: one step on` },
  );
  const speeds = choices("Speed", {
    options: ALG_SPEEDS,
    get: () => pace,
    visible: false,
    set: (value) => {
      pace = value;
      speeds.refresh();
      if (timer) {
        stop();
        start();
      }
    },
  });
  const line = el("p", { class: "alg-caption", "aria-live": "polite" });
  const element = el(
    "div",
    { class: "alg-stepper", role: "group", "aria-label": label },
    el("div", { class: "alg-controls" }, back, play, next, bar, number, speeds.element),
    line,
  );

  function go(step) {
    set(Math.min(Math.max(step, 0), count() - 1));
    refresh();
  }
  function start() {
    if (get() >= count() - 1) go(0);
    line.setAttribute("aria-live", "off"); // too fast to be read aloud
    // Beyond the screen's pace several steps are taken at once.
    const [wait, steps] = pace === "40" ? [50, Math.max(Math.round(count() / 200), 1)] : [1000 / pace, 1];
    timer = setInterval(() => {
      if (!element.isConnected || !element.offsetParent || get() >= count() - 1) stop();
      else go(get() + steps);
    }, wait);
    play.textContent = "Pause";
    play.setAttribute("aria-label", `${label}: pause`);
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    line.setAttribute("aria-live", "polite");
    play.textContent = "Play";
    play.setAttribute("aria-label", `${label}: play`);
  }
  function refresh() {
    const [at, all] = [get(), count()];
    bar.max = all - 1;
    bar.value = at;
    bar.setAttribute("aria-valuetext", `step ${at + 1} of ${all}`);
    bar.style.setProperty("--share", `${(100 * at) / Math.max(all - 1, 1)}%`);
    number.textContent = `${at + 1} / ${all}`;
    const text = caption(at);
    if (line.textContent !== text) line.textContent = text;
  }
  stop();
  refresh();
  return { element, refresh, stop };
}

/** Return lines of code as { element, light(numbers, notes) }: lit lines, and a note behind each. */
export function algCode(lines, label) {
  const rows = lines.map((text) => {
    const note = el("span", { class: "alg-code-note" });
    return { note, row: el("div", { class: "alg-code-line" }, el("code", { text }), note) };
  });
  return {
    element: el(
      "div",
      { class: "alg-code", role: "group", "aria-label": label },
      rows.map(({ row }) => row),
    ),
    light: (lit, notes = []) =>
      rows.forEach(({ row, note }, at) => {
        row.classList.toggle("is-lit", lit.includes(at));
        note.textContent = notes[at] ?? "";
      }),
  };
}

/** Return a term of a sum as text: "3 × (−2)". */
export function algTerm(a, b) {
  const text = formatNumber(b);
  return `${formatNumber(a)} × ${text.startsWith("−") ? `(${text})` : text}`;
}
