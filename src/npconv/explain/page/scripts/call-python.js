// Python text: the problem on screen as npconv's call.

import { outShape, weightShape, xShape } from "./geometry.js";

const CALL_WIDTH = 80;
const CALL_WRITTEN = 4096; // numbers of an array that are written out at most

/** Return a Python tuple: "(3, 3)", "(3,)". */
export function pyTuple(values) {
  return values.length === 1 ? `(${values[0]},)` : `(${values.join(", ")})`;
}

/** Return the shape of x, weight or out for people who read the layout's letters. */
export function callShape(problem, name) {
  const letters = callLetters(problem, name);
  return [...letters.layout].map((letter) => letters.extent[letter]);
}

/** Return { layout, own, extent }: the order an array is called with, its order here, and lengths. */
function callLetters(problem, name) {
  const isWeight = name === "weight";
  const own = isWeight ? "OIHW" : "NCHW";
  const shape = { x: xShape, weight: weightShape, out: outShape, gradOut: outShape }[name](problem);
  const extent = Object.fromEntries([...own].map((letter, axis) => [letter, shape[axis]]));
  const { layout } = problem;
  if (!isWeight) return { layout, own, extent };
  const spatial = layout.includes("H") ? "HW" : "W";
  if (!layout.includes("C")) return { layout: spatial, own, extent };
  const last = layout.endsWith("C");
  return { layout: last ? `${spatial}IO` : `OI${spatial}`, own, extent };
}

/** Return an array's numbers, a tensor here, in the order of the axes of `layout`. */
export function callNumbers(tensor, own, layout) {
  const strides = {};
  let stride = 1;
  [...own].reverse().forEach((letter, at) => {
    strides[letter] = stride;
    stride *= tensor.shape[own.length - 1 - at];
  });
  let offsets = [0];
  for (const letter of layout) {
    const count = tensor.shape[own.indexOf(letter)];
    offsets = offsets.flatMap((start) => (
      Array.from({ length: count }, (_, i) => start + i * strides[letter])));
  }
  return offsets.map((at) => tensor.data[at]);
}

/** Return "name = np.array([...]).reshape(...)", its lines broken; make is ["np.array([", "])"]. */
export function callLiteral(name, numbers, shape, make) {
  const texts = numbers.map(callNumber);
  const tail = `${make[1]}.reshape${pyTuple(shape)}`;
  const line = `${name} = ${make[0]}${texts.join(", ")}${tail}`;
  if (line.length <= CALL_WIDTH) return line;
  return [`${name} = ${make[0]}`, ...callPacked(texts, 4), tail].join("\n");
}

function callNumber(value) {
  if (Number.isFinite(value)) return Number.isInteger(value) ? `${value}.` : String(value);
  return Number.isNaN(value) ? 'float("nan")' : `float("${value < 0 ? "-" : ""}inf")`;
}

/** Return texts, each with its comma, in lines that keep the width. */
function callPacked(texts, indent) {
  const lines = [];
  let line = "";
  for (const text of texts) {
    if (line && indent + line.length + text.length + 2 > CALL_WIDTH) {
      lines.push(line);
      line = "";
    }
    line += `${line ? " " : ""}${text},`;
  }
  if (line) lines.push(line);
  return lines.map((each) => " ".repeat(indent) + each);
}

/** Return "target = call(arguments)", broken where it is too long. */
export function callLine(target, call, args) {
  const line = `${target} = ${call}(${args.join(", ")})`;
  if (line.length <= CALL_WIDTH) return line;
  return [`${target} = ${call}(`, ...callPacked(args, 4), ")"].join("\n");
}

/** Return one number where all axes are alike, else a tuple; axes: how many the layout names. */
export function callAxes(values) {
  return values.every((value) => value === values[0]) ? String(values[0]) : pyTuple(values);
}

/** Return the padding as npconv takes it: 1, (1, 2) an axis, or ((1, 2), (0, 1)). */
export function callPadding(sides) {
  if (sides.every(([before, after]) => before === after)) {
    return callAxes(sides.map(([before]) => before));
  }
  return pyTuple(sides.map(pyTuple));
}

/** Return the axes that the layout names, of a value of two axes. */
export function callSpatial(problem, values) {
  return problem.layout.includes("H") ? values : values.slice(1);
}

/** Return npconv's keyword arguments of the problem, those at their defaults left out. */
export function callGeometry(problem, change = {}) {
  const wanted = { ...problem, ...change };
  const own = (values) => callSpatial(problem, values);
  const args = [];
  const add = (name, text, plain) => { if (text !== plain) args.push(`${name}=${text}`); };
  add("stride", callAxes(own(wanted.stride)), "1");
  add("padding", callPadding(own(wanted.padding)), "0");
  if (wanted.transposed) add("output_padding", callAxes(own(wanted.outputPadding)), "0");
  add("dilation", callAxes(own(wanted.dilation)), "1");
  add("groups", String(wanted.groups), "1");
  if (!["NCHW", "NCW"].includes(wanted.layout)) add("layout", `"${wanted.layout}"`, "");
  add("padding_mode", `"${wanted.mode}"`, '"zeros"');
  return args;
}

/** Return whether the state's bias is more than zeros. */
export function callBias(state) {
  return state.bias.some((value) => value !== 0);
}

/** Return the lines that make the arrays, or a comment with their shapes. */
export function callArrays(state, names, spell) {
  const shapes = names.map(([name, key]) => `${name} ${pyTuple(spell.shape(key))}`);
  const said = `# ${shapes.join(", ")}`;
  if (!spell.written) return [said];
  return names.map(([name, key], at) => {
    if (key === "bias") return callLiteral(name, [...state.bias], spell.shape(key), spell.make);
    const tensor = state[key];
    if (tensor.data.length > CALL_WRITTEN) return `# ${shapes[at]}: too many numbers to write here`;
    const { own } = callLetters(state.problem, key);
    return callLiteral(name, callNumbers(tensor, own, spell.order(key)), spell.shape(key), spell.make);
  });
}

/** Return the names of the arrays that a call takes: [[python name, name here]]. */
export function callNames(state, gradients) {
  const names = [["x", "x"], ["weight", "weight"]];
  if (callBias(state)) names.push(["bias", "bias"]);
  if (gradients) names.push(["grad_out", "gradOut"]);
  return names;
}

/**
 * Return { text, notes } of npconv's call for the state (its problem and arrays).
 *
 * written: also write the arrays' numbers; gradients: also the calls backward.
 */
export function pythonCall(state, { written = false, gradients = false } = {}) {
  const { problem } = state;
  const names = callNames(state, gradients);
  const spell = { written, make: ["np.array([", "])"],
    shape: (key) => (key === "bias" ? [problem.outChannels] : callShape(problem, key)),
    order: (key) => callLetters(problem, key).layout };
  const geometry = callGeometry(problem);
  const given = ["x", "weight", ...(callBias(state) ? ["bias"] : [])];
  const lines = ["import numpy as np", "import npconv", "", ...callArrays(state, names, spell), "",
    callLine("out", problem.transposed ? "npconv.conv_transpose" : "npconv.conv",
      [...given, ...geometry]),
    `# out ${pyTuple(callShape(problem, "out"))}`];
  if (gradients) lines.push("", ...callBackward(problem, geometry));
  if (!lines.some((line) => line.includes("np."))) lines.shift();
  return { text: lines.join("\n"), notes: [] };
}

/** The lines of the gradients; those of a transposed convolution are a convolution's own maps. */
function callBackward(problem, geometry) {
  if (!problem.transposed) {
    return [callLine("grads", "npconv.conv_grad", ["grad_out", "x", "weight", ...geometry]),
      "# grads.x, grads.weight, grads.bias"];
  }
  const padding = problem.padding.map(([before, after], axis) => {
    const more = problem.outputPadding[axis];
    return [before, more >= problem.stride[axis] ? after - more : after];
  });
  const adjoint = callGeometry(problem, { transposed: false, padding });
  return [callLine("grad_x", "npconv.conv", ["grad_out", "weight", ...adjoint]),
    callLine("grad_weight", "npconv.conv_weight_grad",
      ["x", "grad_out", "weight.shape", ...adjoint])];
}
