// What the geometry on screen does, in a few sentences, and its size formula with the numbers.

import { el } from "./dom.js";
import { outSize, sizeFormula, spanOf } from "./geometry.js";
import { formatCount } from "./numbers.js";
import { tapCounts } from "./operation-steps.js";
import { readCounts } from "./reach.js";

const STORY_MODES = {
  edge: "repeats the nearest cell of x",
  reflect: "mirrors x about its edge cell, which is not repeated",
  symmetric: "mirrors x about its edge, so that the edge cell comes twice",
  wrap: "continues with the other end of x",
};

/** Return sentences on the problem; stamps: whether it is read as x stamping the kernel. */
export function operationStory(state, stamps) {
  const { problem } = state;
  const { inChannels, outChannels, groups, kernelSize } = problem;
  const inside = inChannels / groups;
  const taps = `${kernelSize.join("×")} tap${kernelSize[0] * kernelSize[1] === 1 ? "" : "s"}`;
  if (problem.transposed) return storyTransposed(problem, stamps, taps);
  const count = formatCount(inside * kernelSize[0] * kernelSize[1]);
  const said = [`Each cell of out is the sum over one window of x: ${taps} in ${storyChannels(inside)}, `
    + `so ${count} product${count === "1" ? "" : "s"} and the bias.`];
  if (groups > 1) {
    const outs = outChannels / groups;
    said.push(groups === inChannels && outs === 1
      ? "Depthwise: each channel has its own kernel, and channels never mix."
      : `${groups} groups: ${storyChannels(outs)} of out ${outs === 1 ? "sees" : "see"} only `
        + `${storyChannels(inside)} of x, and the groups never meet.`);
  }
  said.push(...storyAxes(problem));
  return said.join(" ");
}

function storyChannels(count) {
  return count === 1 ? "1 channel" : `${count} channels`;
}

/** What stride, dilation and padding do. */
function storyAxes(problem) {
  const said = [];
  const { stride, dilation, padding, mode, kernelSize } = problem;
  if (dilation.some((step, axis) => step > 1 && kernelSize[axis] > 1)) {
    const spans = [0, 1].map((axis) => spanOf(problem, axis)).join("×");
    said.push(`Dilation spreads the taps: the ${kernelSize.join("×")} kernel spans ${spans} cells and `
      + "skips those between.");
  }
  if (stride.some((step) => step > 1)) {
    said.push(`Windows start ${storyPair(stride)} cells apart, so out is smaller than x.`);
  }
  const sides = padding.flat();
  if (sides.some((side) => side > 0)) {
    said.push(mode === "zeros" ? "Round x stand padded zeros: they add nothing."
      : `Padding by "${mode}" ${STORY_MODES[mode]}.`);
  }
  if (sides.some((side) => side < 0)) {
    said.push("Negative padding crops: the crossed cells of x do not count.");
  }
  const unread = [0, 1].map((axis) => storyUnread(problem, axis)).filter(Boolean);
  if (unread.length) said.push(`No window reads ${unread.join(" nor ")} of x.`);
  return said;
}

function storyPair([rows, columns]) {
  return rows === columns ? String(rows) : `${rows} (rows) and ${columns} (columns)`;
}

/** "rows 3 and 7", of those that are not cropped and that no window reads; "" where there are none. */
export function storyUnread(problem, axis) {
  const [before, after] = problem.padding[axis];
  const counts = readCounts(problem, axis);
  const cropped = (s) => !problem.transposed && (s < -before || s >= problem.size[axis] + after);
  const found = counts.flatMap((count, s) => (count || cropped(s) ? [] : [s]));
  if (!found.length) return "";
  const name = `${axis === 0 ? "row" : "column"}${found.length > 1 ? "s" : ""}`;
  const last = found.pop();
  return `${name} ${found.length ? `${found.join(", ")} and ${last}` : last}`;
}

function storyTransposed(problem, stamps, taps) {
  const { stride, outputPadding, padding } = problem;
  const counts = [0, 1].map((axis) => tapCounts(problem, axis));
  const [least, most] = [Math.min, Math.max].map((of) => of(...counts[0]) * of(...counts[1]));
  const range = least === most ? String(most) : `${least} to ${most}`;
  const said = [stamps
    ? `Each cell of x stamps the kernel on out, times its number: ${taps} at once. Stamps land `
      + `${storyPair(stride)} cells apart, and where they overlap they add up.`
    : `Each cell of out gathers from every cell of x whose stamp covers it: ${range} `
      + `tap${range === "1" ? "" : "s"} a channel here. Where they differ, out shows a checkerboard.`];
  if (!stamps && least === most) said[0] = said[0].replace(/ Where they differ.*/, "");
  if (padding.flat().some((side) => side > 0)) said.push("Padding crops out: stamps may fall off its edge.");
  if (outputPadding.some((more) => more > 0)) {
    said.push("Output padding adds rows and columns at the end.");
  }
  said.push("It is the adjoint of a convolution: the map that carries that one's gradient back to its input.");
  return said.join(" ");
}

/** Return the size of out along both axes: the formula in words and with its numbers. */
export function sizeLines({ problem }) {
  const symbols = problem.transposed
    ? "(size − 1)·stride − before − after + dilation·(kernel − 1) + output padding + 1"
    : "⌊(size + before + after − dilation·(kernel − 1) − 1) / stride⌋ + 1";
  const [rows, columns] = outSize(problem);
  return [el("p", { class: "sizes-title" }, "out has ", el("b", { text: `${rows} × ${columns}` }), " cells"),
    el("p", { class: "sizes-symbols", text: symbols }),
    ["rows", "columns"].map((name, axis) => storySize(problem, name, axis))];
}

function storySize(problem, name, axis) {
  const { text, remainder } = sizeFormula(problem, axis);
  const at = text.lastIndexOf("=");
  const sum = text.slice(0, at).replaceAll(" - ", " − ").replaceAll("*", "·")
    .replace("floor(", "⌊").replace(/\) \/ (\d+)\)/, ") / $1⌋");
  const left = !problem.transposed && remainder > 0
    ? `${remainder} ${remainder === 1 ? name.slice(0, -1) : name} left over at the end` : "";
  return el("div", { class: "sizes-axis" }, el("span", { class: "sizes-name", text: name }),
    el("span", { class: "formula" }, sum, "= ", el("b", { text: text.slice(at + 1).trim() })),
    left ? el("small", { text: left }) : null);
}
