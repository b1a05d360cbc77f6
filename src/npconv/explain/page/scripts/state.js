// What is on screen: the problem, its arrays and what follows from them, in one store.

import { biasGrad, forward, inputGrad, tensor, weightGrad } from "./arithmetic.js";
import { problems } from "./faults.js";
import { defaultProblem, outShape, weightShape, xShape } from "./geometry.js";
import { cellInteger } from "./numbers.js";

const STATE_EDITABLE = { x: xShape, weight: weightShape, gradOut: outShape };
const STATE_SEPARATE = { x: "x", weight: "w", gradOut: "g", bias: "b" }; // their keys in the link
const STATE_PLAIN = ["theme", "view", "n", "focus", "checked"];

/**
 * Return the store { get, set, edit, reset, subscribe } that starts from what npconv wrote.
 *
 * get() gives { given, problem, wanted, faults, x, weight, gradOut, bias, out, gradX, gradWeight,
 * gradBias, n, focus, theme, view, checked, edits }. `wanted` is what the controls say; where it is
 * invalid, `faults` says why, and `problem` with all arrays stays the last one that was valid.
 */
export function createStore(given) {
  const listeners = new Set();
  const edits = { x: {}, weight: {}, gradOut: {}, bias: {} };
  const start = { ...defaultProblem(), ...given.problem };
  let state = {
    given, problem: start, wanted: start, faults: [], edits, n: 0, focus: null, theme: "auto",
    view: "operation", checked: null,
  };
  state = stateComputed(state);
  const notify = (changed) => listeners.forEach((listener) => listener(state, changed));

  /** Change parts of the state: a partial problem, tensors, edits, focus, n, theme, view, checked. */
  function set(patch) {
    const next = { ...state };
    for (const key of STATE_PLAIN) if (key in patch) next[key] = patch[key];
    if (patch.problem) stateWant(next, patch.problem);
    if (patch.edits) next.edits = { ...next.edits, ...patch.edits };
    for (const name of Object.keys(STATE_SEPARATE)) {
      if (patch[name]) next.edits = { ...next.edits, [name]: stateEdits(next, name, patch[name]) };
    }
    const arrays = next.problem !== state.problem || next.edits !== state.edits;
    state = arrays ? stateComputed(next) : next;
    state.n = Math.min(Math.max(state.n, 0), state.problem.batch - 1);
    if (state.focus && !stateHolds(state, state.focus)) state.focus = null;
    notify(Object.keys(patch));
  }

  /** Write one number: tensor "x", "weight" or "gradOut" at its 4 indices, or "bias" at [o]. */
  function edit(name, index, value) {
    const changed = { ...state.edits[name], [index.join(".")]: value };
    set({ edits: { [name]: changed } });
  }

  /** Go back to what npconv wrote. */
  function reset() {
    set({ problem: { ...start }, edits: { x: {}, weight: {}, gradOut: {}, bias: {} }, focus: null });
  }

  /** Call listener(state, changedKeys) after every set; return what ends that. */
  function subscribe(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  return { get: () => state, set, edit, reset, subscribe };
}

/** Return { tensor, n, c, i, j } of a focus as the 4 indices into its tensor's shape. */
export function focusIndex({ tensor: name, n, c, o, i, j }) {
  if (name === "weight" || name === "gradWeight") return [o, c, i, j];
  return [n, name === "out" || name === "gradOut" ? o : c, i, j];
}

/** Take a partial problem as what is wanted, and as the problem where it is valid. */
function stateWant(next, patch) {
  next.wanted = { ...next.wanted, ...patch };
  next.faults = problems(next.wanted);
  if (!next.faults.length) next.problem = next.wanted;
}

/** What a cell holds before anyone writes to it: what npconv was given there, or a small integer. */
function stateOriginal(given, name, index) {
  const base = given[name];
  if (base && index.every((at, axis) => at < base.shape[axis])) {
    return base.data[index.reduce((flat, at, axis) => flat * base.shape[axis] + at, 0)];
  }
  return name === "bias" ? 0 : cellInteger(name, index);
}

/** Call visit(index, flat) for every cell of a shape, in row-major order. */
function stateEach(shape, visit) {
  const index = shape.map(() => 0);
  const total = shape.reduce((product, n) => product * n, 1);
  for (let flat = 0; flat < total; flat += 1) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      index[axis] += 1;
      if (index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

/** Return the edits that make a tensor's original into the numbers given. */
function stateEdits(next, name, values) {
  const shape = name === "bias" ? [next.problem.outChannels] : STATE_EDITABLE[name](next.problem);
  const data = values.data ?? values;
  const made = { ...next.edits[name] };
  stateEach(shape, (index, flat) => {
    const key = index.join(".");
    if (data[flat] === stateOriginal(next.given, name, index)) delete made[key];
    else made[key] = data[flat];
  });
  return made;
}

/** Return the state with the arrays of its problem and edits, and all that follows from them. */
function stateComputed(state) {
  const { problem, given, edits } = state;
  const fill = (name, shape, data) => {
    stateEach(shape, (index, flat) => {
      data[flat] = edits[name][index.join(".")] ?? stateOriginal(given, name, index);
    });
  };
  const made = {};
  for (const [name, shapeOf] of Object.entries(STATE_EDITABLE)) {
    made[name] = tensor(shapeOf(problem));
    fill(name, made[name].shape, made[name].data);
  }
  const bias = new Float64Array(problem.outChannels);
  fill("bias", [problem.outChannels], bias);
  const { x, weight, gradOut } = made;
  return {
    ...state, x, weight, gradOut, bias,
    out: forward(problem, x, weight, bias),
    gradX: inputGrad(problem, gradOut, weight),
    gradWeight: weightGrad(problem, gradOut, x),
    gradBias: biasGrad(gradOut),
  };
}

/** Whether a focus points into its tensor. */
function stateHolds(state, focus) {
  const shape = state[focus.tensor]?.shape;
  if (!shape) return false;
  // Beside x, a padded cell can be pointed at.
  const index = focusIndex(focus);
  const inside = (at, axis) => Number.isInteger(at) && at >= 0 && at < shape[axis];
  return focus.tensor === "x" ? index.slice(0, 2).every(inside) : index.every(inside);
}

// ---- The link: key=value pairs of what differs from the given --------------------------------

const STATE_PAIRS = {
  size: "size", kernelSize: "kernel", stride: "stride", dilation: "dilation",
  outputPadding: "more",
};
const STATE_COUNTS = { batch: "batch", inChannels: "in", outChannels: "out", groups: "groups" };
const STATE_WORDS = { mode: "mode", layout: "layout" };
const STATE_MOST = 4096; // edits that a link may carry

/** Return the state as the text behind the link's "#": "" where nothing differs from the given. */
export function encode(state) {
  const start = { ...defaultProblem(), ...state.given.problem };
  const problem = state.wanted;
  const parts = [];
  const add = (key, value, plain) => {
    if (value !== plain) parts.push(`${key}=${value}`);
  };
  for (const [name, key] of Object.entries(STATE_PAIRS)) {
    add(key, problem[name].join("x"), start[name].join("x"));
  }
  const sides = ({ padding }) => padding.flat().join(",");
  add("padding", sides(problem), sides(start));
  for (const [name, key] of Object.entries({ ...STATE_COUNTS, ...STATE_WORDS })) {
    add(key, problem[name], start[name]);
  }
  add("transposed", Number(problem.transposed), Number(start.transposed));
  for (const [name, key] of Object.entries(STATE_SEPARATE)) {
    const cells = Object.entries(state.edits[name]).map(([index, value]) => `${index}:${value}`);
    add(key, cells.join(";"), "");
  }
  add("n", state.n, 0);
  add("view", state.view, "operation");
  add("theme", state.theme, "auto");
  return parts.join("&");
}

/** Return what to set for the text of a link; what it cannot read it leaves out. */
export function decode(hash) {
  const patch = {};
  const problem = {};
  const fields = new Map();
  for (const part of String(hash ?? "").replace(/^#/, "").split("&")) {
    const [key, ...rest] = part.split("=");
    fields.set(key, stateDecoded(rest.join("=")));
  }
  const read = (key, pattern, store) => {
    const text = fields.get(key);
    if (text !== undefined && pattern.test(text)) store(text);
  };
  for (const [name, key] of Object.entries(STATE_PAIRS)) {
    read(key, /^-?\d{1,4}x-?\d{1,4}$/, (text) => { problem[name] = text.split("x").map(Number); });
  }
  read("padding", /^(-?\d{1,4},){3}-?\d{1,4}$/, (text) => {
    const [top, bottom, left, right] = text.split(",").map(Number);
    problem.padding = [[top, bottom], [left, right]];
  });
  for (const [name, key] of Object.entries(STATE_COUNTS)) {
    read(key, /^\d{1,4}$/, (text) => { problem[name] = Number(text); });
  }
  for (const [name, key] of Object.entries(STATE_WORDS)) {
    read(key, /^[A-Za-z]{1,9}$/, (text) => { problem[name] = text; });
  }
  read("transposed", /^[01]$/, (text) => { problem.transposed = text === "1"; });
  if (Object.keys(problem).length) patch.problem = problem;
  const edits = {};
  for (const [name, key] of Object.entries(STATE_SEPARATE)) {
    const cells = stateCells(fields.get(key), name === "bias" ? 1 : 4);
    if (cells) edits[name] = cells;
  }
  if (Object.keys(edits).length) patch.edits = edits;
  read("n", /^\d{1,3}$/, (text) => { patch.n = Number(text); });
  read("view", /^[a-z-]{1,20}$/, (text) => { patch.view = text; });
  read("theme", /^(auto|light|dark)$/, (text) => { patch.theme = text; });
  return patch;
}

/** Return the text of a link's value; one that is badly escaped as it stands. */
function stateDecoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Return { index: value } of "0.0.1.2:5;..." with `axes` numbers an index, or null. */
function stateCells(text, axes) {
  if (!text) return null;
  const cells = {};
  for (const cell of text.split(";").slice(0, STATE_MOST)) {
    const [index, value, ...rest] = cell.split(":");
    const sound = /^\d{1,3}(\.\d{1,3})*$/.test(index) && index.split(".").length === axes;
    const number = value ? Number(value) : NaN;
    if (sound && !rest.length && Number.isFinite(number)) cells[index] = number;
  }
  return Object.keys(cells).length ? cells : null;
}
