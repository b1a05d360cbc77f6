// Backward: grad_out poured through the kernel on grad_x, and times x on grad_weight.

import { createGradients } from "./backward-gradients.js";
import { backwardNotesList } from "./backward-notes.js";
import { backStepFocus, backStepOf, backSteps, createPour } from "./backward-pour.js";
import { backReachOf } from "./backward-reach.js";
import { backTensors } from "./backward-tensors.js";
import { choices, el, replace } from "./dom.js";
import { createPlayback } from "./playback.js";
import { drawnPadding } from "./reach.js";
import { tensorName } from "./tensors.js";
import { createTerms } from "./terms.js";

const BACK_OWN = ["gradOut", "gradX", "gradWeight"]; // what the store's focus may be on, here

/** Append the view of the backward maps to host; store as createStore returns it. */
export function mountBackward(host, store) {
  const view = { hovered: null, pinned: backMiddle(store.get()), reach: null, focus: null, step: 0,
    filling: false, pours: false, poured: null };
  const pour = createPour();
  const terms = createTerms("Point at a cell, or walk there with the arrow keys.");
  const playback = createPlayback({ label: "Cells of grad_out", count: () => backSteps(store.get()),
    row: () => store.get().gradOut.shape[3], get: () => view.step, set: show, name: (step) => (
      `${tensorName(backStepFocus(store.get(), step))}: ${step + 1} of ${backSteps(store.get())}`) });
  const gradients = createGradients(store);
  const click = choices("A click on grad_out", { options: [{ value: "shows", label: "shows" },
    { value: "pours", label: "pours 1" }], get: () => (view.pours ? "pours" : "shows"),
  set: (value) => { view.pours = value === "pours"; } });
  const { tensors, lay } = backTensors(store, view, pin, (focus) => {
    view.hovered = focus;
    point();
  });
  const { gradOut, gradX, x, weight, gradWeight, gradBias } = Object.fromEntries(
    tensors.map(({ tensor, element }) => [tensor, element]));
  terms.element.tabIndex = 0; // it scrolls in its box
  const notes = el("dl", { class: "back-notes" });
  const board = el("div", { class: "back-board" },
    el("div", { class: "back-row" }, gradOut, weight, gradWeight, gradBias),
    el("div", { class: "back-inputs" }, gradX, el("div", { class: "back-side" }, terms.element, notes), x));
  host.append(el("div", { class: "back", onKeydown: (event) => playback.keydown(event) },
    el("div", { class: "back-bar" }, gradients.element, click.element), playback.element, board));

  /** Show a step of the play: what has been poured up to it, and nothing of later cells. */
  function show(step) {
    const focus = backStepFocus(store.get(), step);
    Object.assign(view, { step, filling: true, hovered: null, pinned: focus });
    store.set({ focus });
    if (!playback.playing()) terms.say(view.reach);
  }

  /** Keep a cell shown; the gradients are whole again. */
  function pin(focus) {
    playback.pause();
    Object.assign(view, { pinned: focus, filling: false });
    view.step = backStepOf(store.get(), focus, view.step);
    if (view.pours && focus.tensor === "gradOut") gradients.pourAt(focus);
    if (BACK_OWN.includes(focus.tensor) && backInside(store.get(), focus, false)) store.set({ focus });
    else point();
    terms.say(view.reach);
  }

  /** Mark what the cell pointed at meets, and write it out. */
  function point() {
    const state = store.get();
    const focus = view.hovered ?? view.pinned;
    view.focus = focus && "n" in focus ? { ...focus, n: state.n } : focus;
    view.reach = backInside(state, view.focus) ? backReachOf(state, view.focus) : null;
    view.poured = pour.upTo(state, view.filling ? view.step : backSteps(state) - 1, !view.filling);
    tensors.forEach((tensor) => tensor.refresh());
    terms.show(view.reach);
  }

  function refresh() {
    [gradients, playback, click].forEach((part) => part.refresh());
    replace(notes, backwardNotesList(store.get().problem));
    lay(board.clientWidth);
    point();
  }

  store.subscribe((state, changed) => {
    const { focus } = state;
    if (changed.includes("focus") && BACK_OWN.includes(focus?.tensor)) view.pinned = focus;
    if (changed.includes("problem")) {
      playback.pause();
      Object.assign(view, { filling: false, hovered: null });
      if (!backInside(state, view.pinned)) view.pinned = backMiddle(state);
    }
    if (!view.filling) view.step = backStepOf(state, view.pinned, view.step);
    view.step = Math.min(view.step, backSteps(state) - 1);
    if (changed.every((key) => key === "focus")) {
      point();
      playback.refresh();
    } else if (!changed.every((key) => ["theme", "view", "checked"].includes(key))) {
      refresh();
    }
  });
  refresh();
  new ResizeObserver(() => {
    lay(board.clientWidth);
    tensors.forEach((tensor) => tensor.refresh());
  }).observe(board);
}

/** Return the focus in the middle of grad_x's first channel: where the page starts. */
function backMiddle(state) {
  const [rows, columns] = state.problem.size;
  return { tensor: "gradX", n: state.n, c: 0, i: Math.floor((rows - 1) / 2),
    j: Math.floor((columns - 1) / 2) };
}

/** Return whether a focus still lies in its tensor, or in the padding drawn round it. */
function backInside(state, focus, padded = true) {
  if (!focus) return false;
  const { tensor, o, c, i, j } = focus;
  if (tensor === "gradBias") return o < state.problem.outChannels;
  const [first, second, rows, columns] = state[tensor].shape;
  const kernel = tensor === "weight" || tensor === "gradWeight";
  if (kernel ? o >= first || c >= second : (o ?? c) >= second) return false;
  const ringed = padded && (tensor === "x" || tensor === "gradX");
  const [[top, bottom], [left, right]] = ringed ? drawnPadding(state.problem) : [[0, 0], [0, 0]];
  return i >= -top && i < rows + bottom && j >= -left && j < columns + right;
}
