// Python text: the problem on screen in PyTorch's spelling, and what PyTorch has no word for.

import {
  callArrays, callAxes, callBias, callLine, callNames, callShape, callSpatial, pyTuple,
} from "./call-python.js";

const TORCH_MODES = { edge: "replicate", reflect: "reflect", wrap: "circular" };

/** Return { text, notes } of PyTorch's call for the state; options as those of pythonCall. */
export function torchCall(state, { written = false, gradients = false } = {}) {
  const { problem } = state;
  const weightOrder = problem.layout.includes("H") ? "OIHW" : "OIW";
  const weightLengths = callWeight(state, weightOrder);
  const spell = { written, make: ["torch.tensor([", "], dtype=torch.float64)"],
    shape: (key) => ({ bias: [problem.outChannels], weight: weightLengths }[key]
      ?? callShape(problem, key)),
    order: (key) => (key === "weight" ? weightOrder : problem.layout) };
  const notes = [];
  const body = problem.transposed ? torchTransposed(state, notes) : torchForward(state, notes);
  const names = callNames(state, gradients);
  const lines = ["import torch", "import torch.nn.functional as F", "",
    ...callArrays(state, names, spell)];
  const leaves = names.filter(([name]) => name !== "grad_out").map(([name]) => name);
  if (gradients) {
    lines.push(`for array in (${leaves.join(", ")}):`, "    array.requires_grad_()");
  }
  lines.push("", ...body, `# out ${pyTuple(callShape(problem, "out"))}`);
  if (gradients) {
    lines.push("", "out.backward(grad_out)", `# ${leaves.map((name) => `${name}.grad`).join(", ")}`);
  }
  if (body.some((line) => line.includes("np."))) lines.unshift("import numpy as np");
  if (!lines.some((line) => line.includes("torch."))) lines.splice(lines.indexOf("import torch"), 1);
  if (problem.layout.endsWith("C")) {
    notes.push("PyTorch's calls take channels first: permute turns the axes there and back, "
      + "and weight is (O, I, rows, columns).");
  }
  return { text: lines.join("\n"), notes };
}

function callWeight({ weight }, order) {
  return [...order].map((letter) => weight.shape["OIHW".indexOf(letter)]);
}

/** Return [lines before, the name of the tensor, lines after] that turn x's axes and out's. */
function torchTurned({ layout }) {
  if (!layout.includes("C")) return { into: "x[None]", back: "out[0]" };
  if (!layout.endsWith("C")) return { into: null, back: null };
  const axes = [...layout].map((_, axis) => axis);
  const last = axes.length - 1;
  const first = layout.startsWith("N") ? 1 : 0;
  const into = [...axes.slice(0, first), last, ...axes.slice(first, last)];
  const back = [...axes.slice(0, first), ...axes.slice(first + 1), first];
  return { into: `x.permute${pyTuple(into)}`, back: `out.permute${pyTuple(back)}` };
}

function torchName(problem, name) {
  return `F.${name}${problem.layout.includes("H") ? 2 : 1}d`;
}

/** Return the lines of a convolution. */
function torchForward(state, notes) {
  const { problem } = state;
  const sides = callSpatial(problem, problem.padding);
  const turned = torchTurned(problem);
  const lines = turned.into ? [`inner = ${turned.into}`] : [];
  const zeros = problem.mode === "zeros" || sides.flat().every((side) => side === 0);
  const alike = sides.every(([before, after]) => before === after && before >= 0);
  const args = [];
  let name = turned.into ? "inner" : "x";
  if (zeros && alike) {
    const padding = callAxes(sides.map(([before]) => before));
    if (padding !== "0") args.push(`padding=${padding}`);
  } else {
    lines.push(...torchPadded(state, name, notes));
    name = "inner";
  }
  const geometry = torchGeometry(problem);
  geometry.splice(geometry[0]?.startsWith("stride") ? 1 : 0, 0, ...args);
  const given = [name, "weight", ...(callBias(state) ? ["bias"] : [])];
  lines.push(callLine("out", torchName(problem, "conv"), [...given, ...geometry]));
  if (turned.back) lines.push(`out = ${turned.back}`);
  return lines;
}

function torchGeometry(problem) {
  const args = [];
  const add = (name, text, plain) => { if (text !== plain) args.push(`${name}=${text}`); };
  add("stride", callAxes(callSpatial(problem, problem.stride)), "1");
  add("dilation", callAxes(callSpatial(problem, problem.dilation)), "1");
  add("groups", String(problem.groups), "1");
  return args;
}

/** Return the lines that pad beforehand, by F.pad where it can and by looking up where not. */
function torchPadded({ problem }, name, notes) {
  const sides = callSpatial(problem, problem.padding);
  const sizes = callSpatial(problem, problem.size);
  const { mode } = problem;
  const call = torchName(problem, "conv").slice(2);
  const flat = pyTuple([...sides].reverse().flat());
  if (mode === "zeros") {
    notes.push(`${call} pads both sides alike, with no less than 0: F.pad comes first. `
      + "It counts from the last axis.");
    return [`inner = F.pad(${name}, ${flat})`];
  }
  const most = (size) => (mode === "reflect" ? size - 1 : mode === "wrap" ? size : Infinity);
  const fits = sides.every((pair, axis) => (
    pair.every((side) => side >= 0 && side <= most(sizes[axis]))));
  if (TORCH_MODES[mode] && fits) {
    const word = TORCH_MODES[mode];
    const named = word === mode ? "" : `, where "${mode}" is called "${word}"`;
    notes.push(`${call} itself pads with zeros alone: F.pad comes first${named}. `
      + "It counts from the last axis.");
    return [`inner = F.pad(${name}, ${flat}, mode="${word}")`];
  }
  notes.push(TORCH_MODES[mode]
    ? `F.pad refuses this much "${TORCH_MODES[mode]}" padding: the index of what stands in each `
      + "place is made by numpy.pad, and looked up."
    : `PyTorch has no "${mode}" padding: the index of what stands in each place is made by `
      + "numpy.pad, and looked up. Gradients flow through it.");
  const wheres = sides.map(([before, after], axis) => {
    const pads = pyTuple([before, after].map((side) => Math.max(side, 0)));
    const from = before < 0 ? -before : "";
    const to = after < 0 ? after : "";
    const cut = from !== "" || to !== "" ? `[${from}:${to}]` : "";
    return `np.pad(np.arange(${sizes[axis]}), ${pads}, mode="${mode}")${cut}`;
  });
  if (wheres.length === 1) return [`columns = ${wheres[0]}`, `inner = ${name}[..., columns]`];
  return [`rows = ${wheres[0]}`, `columns = ${wheres[1]}`,
    `inner = ${name}[..., rows[:, None], columns]`];
}

/** Return the lines of a transposed convolution. */
function torchTransposed(state, notes) {
  const { problem } = state;
  const sides = callSpatial(problem, problem.padding);
  const more = callSpatial(problem, problem.outputPadding);
  const turned = torchTurned(problem);
  const lines = turned.into ? [`inner = ${turned.into}`] : [];
  const alike = sides.every(([before, after]) => before === after && before >= 0);
  const geometry = torchGeometry(problem);
  const call = torchName(problem, "conv_transpose");
  const given = [turned.into ? "inner" : "x", "weight"];
  const bias = callBias(state);
  if (alike) {
    const args = [["padding", callAxes(sides.map(([before]) => before))],
      ["output_padding", callAxes(more)]].filter(([, text]) => text !== "0");
    if (bias) given.push("bias");
    geometry.splice(geometry[0]?.startsWith("stride") ? 1 : 0, 0,
      ...args.map((pair) => pair.join("=")));
    lines.push(callLine("out", call, [...given, ...geometry]));
  } else {
    notes.push(`${call.slice(2)} crops both sides alike: the whole result is made here, and `
      + "F.pad crops it by negative numbers. It counts from the last axis.");
    const crop = sides.map(([before, after], axis) => [-before, more[axis] - after]);
    lines.push(callLine("out", call, [...given, ...geometry]),
      `out = F.pad(out, ${pyTuple(crop.reverse().flat())})`);
    if (bias) lines.push(`out = out + bias${problem.layout.includes("H") ? "[:, None, None]" : "[:, None]"}`);
  }
  if (turned.back) lines.push(`out = ${turned.back}`);
  return lines;
}
