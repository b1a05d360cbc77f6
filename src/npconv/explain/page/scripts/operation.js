// The operation: x, weight, bias and out side by side; any cell shows all that it meets.

import { createControls, createPresets } from "./controls.js";
import { choices, el, replace } from "./dom.js";
import { operationStory, sizeLines } from "./operation-story.js";
import { stampedOut, stepCount, stepFocus, stepHolds, stepMiddle, stepOf, stepShape } from "./operation-steps.js";
import { createPlayback } from "./playback.js";
import { drawnPadding, isCropped, isUnread, reachOf } from "./reach.js";
import { createTensor, shapeText, tensorName } from "./tensors.js";
import { createTerms } from "./terms.js";

const OPERATION_TENSORS = ["x", "weight", "out"]; // what the store's focus may be on, here
const OPERATION_BARE = [[0, 0], [0, 0]];
const OPERATION_TALL = 460; // pixels that x may take in cells of full size

/** Append the view of the forward map to host; store as createStore returns it. */
export function mountOperation(host, store) {
  const view = { hovered: null, pinned: stepMiddle(store.get(), false), reach: null, focus: null,
    filling: false, step: 0, reading: "gather", stamped: null };
  const stamps = () => store.get().problem.transposed && view.reading === "stamp";
  const terms = createTerms("Point at a cell, or walk there with the arrow keys.");
  const playback = createPlayback({ label: "Windows",
    count: () => stepCount(store.get(), stamps()), row: () => stepShape(store.get(), stamps())[2],
    get: () => view.step, set: show, name: (step) => (
      `${tensorName(stepFocus(store.get(), stamps(), step))}: ${step + 1} of ${stepCount(store.get(), stamps())}`) });
  const tensors = operationTensors(store, view, stamps, pin, point);
  const reading = choices("Read it as", { options: [{ value: "gather", label: "out gathers" },
    { value: "stamp", label: "x stamps" }], get: () => view.reading, set: (value) => {
    view.reading = value;
    pin(stepMiddle(store.get(), stamps()));
    refresh();
  } });
  const [presets, controls] = [createPresets(store), createControls(store)];
  const story = el("p", { class: "note op-story" });
  const fault = el("div", { class: "fault op-fault", role: "status", hidden: true });
  const sizes = el("div", { class: "op-sizes" });
  const [x, weight, bias, out] = tensors.map(({ element }) => element);
  const stage = el("div", { class: "op-stage" }, fault,
    el("div", { class: "op-bar" }, playback.element, reading.element),
    el("div", { class: "op-board" }, x, el("div", { class: "op-side" },
      el("div", { class: "op-kernels" }, weight, bias), out, terms.element, story)));
  const panel = el("details", { class: "op-controls panel", open: true },
    el("summary", { text: "Geometry" }), sizes, controls.element);
  host.append(el("div", { class: "op", onKeydown: (event) => playback.keydown(event) },
    presets.element, el("div", { class: "op-columns" }, panel, stage)));
  panel.open = !matchMedia("(max-width: 60rem)").matches;

  /** Show a step of the playback: cells that come later are not filled in yet. */
  function show(step) {
    const focus = stepFocus(store.get(), stamps(), step);
    Object.assign(view, { step, filling: true, hovered: null, pinned: focus });
    store.set({ focus });
    if (!playback.playing()) terms.say(view.reach);
  }

  /** Keep a cell shown; the tensors are whole again. */
  function pin(focus) {
    playback.pause();
    Object.assign(view, { pinned: focus, filling: false });
    view.step = stepOf(store.get(), stamps(), focus, view.step);
    if (focus.tensor === "bias") point();
    else store.set({ focus });
    terms.say(view.reach);
  }

  /** Mark what the cell pointed at meets, and write it out. */
  function point() {
    const state = store.get();
    const focus = view.hovered ?? view.pinned;
    view.focus = focus && "n" in focus ? { ...focus, n: state.n } : focus;
    view.reach = stepHolds(state, view.focus) ? reachOf(state, view.focus) : null;
    view.stamped = view.filling && stamps() ? stampedOut(state, view.step) : null;
    tensors.forEach((tensor) => tensor.refresh());
    terms.show(view.reach);
  }

  function refresh() {
    const state = store.get();
    const { faults, problem } = state;
    stage.classList.toggle("stale", faults.length > 0);
    fault.hidden = !faults.length;
    const why = faults.map(({ message }) => message).join(" ");
    replace(fault, el("strong", { text: "Not valid, so the picture stays as it was: " }), why);
    reading.element.hidden = !problem.transposed;
    [presets, controls, playback, reading].forEach((part) => part.refresh());
    story.textContent = operationStory(state, stamps());
    replace(sizes, sizeLines(state));
    point();
  }

  store.subscribe((state, changed) => {
    const { focus } = state;
    if (changed.includes("focus") && OPERATION_TENSORS.includes(focus?.tensor)) view.pinned = focus;
    if (changed.includes("problem")) {
      playback.pause();
      Object.assign(view, { filling: false, hovered: null });
      if (!stepHolds(state, view.pinned)) view.pinned = stepMiddle(state, stamps());
    }
    if (!view.filling) view.step = stepOf(state, stamps(), view.pinned, view.step);
    view.step = Math.min(view.step, stepCount(state, stamps()) - 1);
    if (changed.every((key) => key === "focus")) {
      point();
      playback.refresh();
    } else if (!changed.every((key) => ["theme", "view", "checked"].includes(key))) {
      refresh();
    }
  });
  view.step = stepOf(store.get(), false, view.pinned);
  refresh();
}

/** The four tensors of the board, and how out fills while it is played. */
function operationTensors(store, view, stamps, pin, point) {
  const common = { shown: () => view, onPin: pin, onHover: (focus) => {
    view.hovered = focus;
    point();
  } };
  const outside = ({ out }, i, j) => i < 0 || j < 0 || i >= out.shape[2] || j >= out.shape[3];
  const x = createTensor(store, { ...common, tensor: "x", editable: true,
    most: () => operationCell(store.get()),
    about: (state) => `the input, ${shapeText(state.x.shape)}`,
    pad: ({ problem }) => (problem.transposed ? OPERATION_BARE : problem.padding),
    mark: ({ problem }, c, i, j) => (operationUnread(problem, i, j) ? "unread" : "") });
  const weight = createTensor(store, { ...common, tensor: "weight", editable: true, most: 26,
    about: (state) => `the kernels, ${shapeText(state.weight.shape)}` });
  const bias = createTensor(store, { ...common, tensor: "bias", editable: true, most: 26, about: () => "" });
  const out = createTensor(store, { ...common, tensor: "out",
    about: (state) => `the output, ${shapeText(state.out.shape)}`,
    // What padding crops of a transposed result is drawn round it, without numbers.
    pad: ({ problem }) => (problem.transposed ? drawnPadding({ ...problem, transposed: false })
      : OPERATION_BARE),
    value: (state, c, i, j) => (view.stamped && !outside(state, i, j)
      ? view.stamped.at(0, c, i, j) : undefined),
    mark: (state, c, i, j) => {
      if (outside(state, i, j)) return "hole cut";
      const [, , rows, columns] = state.out.shape;
      const later = view.filling && !stamps() && (c * rows + i) * columns + j > view.step;
      return later ? "hole" : "";
    } });
  return [x, weight, bias, out];
}

/** Return the largest cell, in pixels, with which all of x can be seen beside out. */
function operationCell({ problem }) {
  const [before, after] = problem.transposed ? [0, 0] : problem.padding[0];
  const rows = problem.inChannels * (problem.size[0] + Math.max(before, 0) + Math.max(after, 0));
  return rows * 36 <= OPERATION_TALL ? 36 : 26;
}

function operationUnread(problem, h, w) {
  const [rows, columns] = problem.size;
  if (h < 0 || w < 0 || h >= rows || w >= columns) return false;
  return isUnread(problem, h, w) && (problem.transposed || !isCropped(problem, h, w));
}
