// Backward: a gradient is poured in at out; grad_x gathers it, grad_weight sums it.

import { tensor } from "./arithmetic.js";
import { backPours, backReachOf } from "./backward-reach.js";
import { backwardNotesList } from "./backward-notes.js";
import { button, choices, el, replace } from "./dom.js";
import { cellInteger } from "./numbers.js";
import { stepHolds } from "./operation-steps.js";
import { createPlayback } from "./playback.js";
import { isCropped, isUnread } from "./reach.js";
import { createTensor, shapeText, tensorName } from "./tensors.js";
import { createTerms } from "./terms.js";

const BACKWARD_TENSORS = ["gradOut", "gradX", "gradWeight"];
const BACKWARD_PRESETS = [
  ["ones", () => 1],
  ["one cell", ([, , rows, columns], n, o, i, j) => Number(n === 0 && o === 0
    && i === Math.floor(rows / 2) && j === Math.floor(columns / 2))],
  ["small integers", (shape, ...index) => cellInteger("gradOut", index)],
  ["checkerboard", (shape, n, o, i, j) => ((i + j) % 2 ? -1 : 1)],
  ["empty", () => 0],
];

/** Append the view of the two gradients to host; store as createStore returns it. */
export function mountBackward(host, store) {
  const start = { tensor: "gradX", n: 0, c: 0, i: 0, j: 0 };
  const view = { hovered: null, pinned: start, reach: null, focus: null, step: 0, poured: null,
    click: "look" };
  const terms = createTerms("Point at a cell of any tensor.");
  const count = () => store.get().gradOut.data.length;
  const playback = createPlayback({ label: "Pour cell by cell", count,
    row: () => store.get().gradOut.shape[3], get: () => view.step, set: show,
    name: (step) => `${tensorName(backwardFocus(store.get(), step))}: ${step + 1} of ${count()}` });
  const tensors = backwardTensors(store, view, pin, point);
  const click = choices("A click on grad_out", { options: [{ value: "look", label: "looks" },
    { value: "pour", label: "pours 1 in" }], get: () => view.click,
  set: (value) => { view.click = value; } });
  const presets = el("div", { class: "presets", role: "group", "aria-label": "Gradients to pour in" },
    BACKWARD_PRESETS.map(([name, of]) => button(name, () => {
      playback.pause();
      view.poured = null;
      store.set({ gradOut: backwardFilled(store.get().gradOut.shape, of) });
    }, { class: "preset" })));
  const notes = el("dl", { class: "back-notes" });
  const parts = Object.fromEntries(tensors.map((one) => [one.tensor, one.element]));
  host.append(el("div", { class: "op back", onKeydown: (event) => playback.keydown(event) },
    el("div", { class: "op-bar" }, presets, click.element),
    el("div", { class: "op-bar" }, playback.element),
    el("div", { class: "back-board" },
      el("div", { class: "back-column" }, parts.gradOut, parts.weight, parts.x),
      el("div", { class: "back-column" }, parts.gradX, parts.gradWeight, parts.gradBias)),
    terms.element, notes));

  /** Show the gradients as they stand once the cells up to a step are poured in. */
  function show(step) {
    const focus = backwardFocus(store.get(), step);
    Object.assign(view, { step, hovered: null, pinned: focus });
    view.poured = backwardPoured(store.get(), step);
    store.set({ focus, n: focus.n });
    if (!playback.playing()) terms.say(view.reach);
  }

  function pin(focus) {
    playback.pause();
    Object.assign(view, { pinned: focus, poured: null });
    if (focus.tensor === "gradOut") {
      const { n, o, i, j } = focus;
      view.step = store.get().gradOut.index(n, o, i, j);
      if (view.click === "pour" && view.hovered) {
        store.edit("gradOut", [n, o, i, j], store.get().gradOut.at(n, o, i, j) + 1);
      }
    }
    if (BACKWARD_TENSORS.includes(focus.tensor)) store.set({ focus });
    else point();
    terms.say(view.reach);
  }

  function point() {
    const state = store.get();
    const focus = view.hovered ?? view.pinned;
    view.focus = focus && "n" in focus ? { ...focus, n: state.n } : focus;
    const bias = view.focus?.tensor === "gradBias" && view.focus.o < state.problem.outChannels;
    const holds = bias || (view.focus?.tensor !== "gradBias" && stepHolds(state, view.focus));
    view.reach = holds ? backReachOf(state, view.focus) : null;
    tensors.forEach((one) => one.refresh());
    terms.show(view.reach);
  }

  function refresh() {
    view.step = Math.min(view.step, count() - 1);
    if (view.poured) view.poured = backwardPoured(store.get(), view.step);
    playback.refresh();
    replace(notes, backwardNotesList(store.get().problem));
    point();
  }

  store.subscribe((state, changed) => {
    const { focus } = state;
    if (changed.includes("focus") && BACKWARD_TENSORS.includes(focus?.tensor)) view.pinned = focus;
    if (changed.includes("problem")) {
      playback.pause();
      Object.assign(view, { poured: null, hovered: null });
      const bias = view.pinned.tensor === "gradBias";
      if (bias || !stepHolds(state, view.pinned)) view.pinned = start;
    }
    if (changed.every((key) => key === "focus")) {
      point();
      playback.refresh();
    } else if (!changed.every((key) => ["theme", "view", "checked"].includes(key))) {
      refresh();
    }
  });
  refresh();
}

function backwardFocus({ gradOut }, step) {
  const [, channels, rows, columns] = gradOut.shape;
  const plane = Math.floor(step / (rows * columns));
  return { tensor: "gradOut", n: Math.floor(plane / channels), o: plane % channels,
    i: Math.floor(step / columns) % rows, j: step % columns };
}

function backwardFilled(shape, of) {
  const made = tensor(shape);
  made.data.forEach((_, at) => {
    const { n, o, i, j } = backwardFocus({ gradOut: made }, at);
    made.data[at] = of(shape, n, o, i, j);
  });
  return made;
}

/** Return { gradX, gradWeight, gradBias } of the cells of grad_out up to a step alone. */
function backwardPoured(state, step) {
  const [gradX, gradWeight] = [tensor(state.x.shape), tensor(state.weight.shape)];
  const gradBias = new Float64Array(state.problem.outChannels);
  for (let at = 0; at <= step; at += 1) {
    const { n, o, i, j } = backwardFocus(state, at);
    gradBias[o] += state.gradOut.at(n, o, i, j);
    for (const { tap, toX, toWeight } of backPours(state, n, o, i, j)) {
      if (tap.sh < 0) continue;
      gradX.data[gradX.index(n, tap.c, tap.sh, tap.sw)] += toX;
      gradWeight.data[gradWeight.index(tap.wo, tap.wc, tap.kh, tap.kw)] += toWeight;
    }
  }
  return { gradX, gradWeight, gradBias };
}

/** The six tensors of the board; while it is poured the gradients show what has arrived so far. */
function backwardTensors(store, view, pin, point) {
  const common = { shown: () => view, onPin: pin, onHover: (focus) => {
    view.hovered = focus;
    point();
  } };
  const pad = ({ problem }) => (problem.transposed ? [[0, 0], [0, 0]] : problem.padding);
  const mark = ({ problem }, c, i, j) => {
    const [rows, columns] = problem.size;
    if (i < 0 || j < 0 || i >= rows || j >= columns) return "";
    const cropped = !problem.transposed && isCropped(problem, i, j);
    return !cropped && isUnread(problem, i, j) ? "unread" : "";
  };
  const depth = (state) => state.weight.shape[1];
  const shape = (name) => (state) => shapeText(state[name].shape);
  return [
    createTensor(store, { ...common, tensor: "gradOut", editable: true, about: (state) => (
      `poured in, ${shapeText(state.gradOut.shape)}`) }),
    createTensor(store, { ...common, tensor: "weight", editable: true, about: shape("weight") }),
    createTensor(store, { ...common, tensor: "x", editable: true, about: shape("x"), pad, mark,
      most: 30 }),
    createTensor(store, { ...common, tensor: "gradX", about: shape("x"), pad,
      mark: (state, c, i, j) => {
        const [rows, columns] = state.problem.size;
        const outside = i < 0 || j < 0 || i >= rows || j >= columns;
        return outside ? "hole" : mark(state, c, i, j);
      },
      value: (state, c, i, j) => {
        const [rows, columns] = state.problem.size;
        const inside = i >= 0 && j >= 0 && i < rows && j < columns;
        return view.poured && inside ? view.poured.gradX.at(state.n, c, i, j) : undefined;
      } }),
    createTensor(store, { ...common, tensor: "gradWeight", about: shape("weight"),
      value: (state, c, i, j) => (view.poured
        ? view.poured.gradWeight.at(Math.floor(c / depth(state)), c % depth(state), i, j) : undefined) }),
    createTensor(store, { ...common, tensor: "gradBias", about: () => "",
      value: (state, c, i) => (view.poured ? view.poured.gradBias[i] : undefined) }),
  ];
}
