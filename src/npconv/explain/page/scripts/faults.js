// What makes a problem invalid, in npconv's words, and what is too large to draw.

import { LAYOUTS, LIMITS, MODES, outSize, paddedLength, spanOf } from "./geometry.js";

/** Return [{ field, message }]: why npconv would refuse the problem, or the page not draw it; [] if fine. */
export function problems(problem) {
  const faults = faultNumbers(problem);
  if (faults.length) return faults;
  faults.push(...faultGroups(problem));
  for (const axis of [0, 1]) faults.push(...faultAxis(problem, axis));
  if (!faults.length) faults.push(...faultLayout(problem), ...faultDrawn(problem));
  return faults;
}

/** Numbers that are none, or below what each may be. */
function faultNumbers(problem) {
  const faults = [];
  const check = (field, name, values, least) => {
    for (const value of values) {
      if (!Number.isInteger(value)) {
        faults.push({ field, message: `${name} is ${value}, not an integer.` });
      } else if (value < least) {
        faults.push({ field, message: `${name} is ${value}, and must be at least ${least}.` });
      }
    }
  };
  check("batch", "batch", [problem.batch], 1);
  check("inChannels", "in_channels", [problem.inChannels], 1);
  check("outChannels", "out_channels", [problem.outChannels], 1);
  check("size", "size", problem.size, 1);
  check("kernelSize", "kernel_size", problem.kernelSize, 1);
  check("stride", "stride", problem.stride, 1);
  check("padding", "padding", problem.padding.flat(), -Infinity);
  check("dilation", "dilation", problem.dilation, 1);
  check("groups", "groups", [problem.groups], 1);
  check("outputPadding", "output_padding", problem.outputPadding, -Infinity);
  if (!MODES.includes(problem.mode)) {
    faults.push({ field: "mode", message: `padding_mode '${problem.mode}' is not known.` });
  }
  if (!LAYOUTS.includes(problem.layout)) {
    faults.push({ field: "layout", message: `layout '${problem.layout}' is not one of the page's.` });
  }
  return faults;
}

/** Channels that groups does not divide. */
function faultGroups({ inChannels, outChannels, groups, transposed }) {
  const faults = [];
  const heads = transposed ? ["result", "x"] : ["x", "weight"];
  const [split, outputs] = transposed ? [outChannels, inChannels] : [inChannels, outChannels];
  if (split % groups) {
    const message = `${heads[0]} has ${split} channels, which groups=${groups} does not divide.`;
    faults.push({ field: "groups", message });
  }
  if (outputs % groups) {
    const message = `weight has ${outputs} output channels, which groups=${groups} does not divide.`;
    faults.push({ field: "groups", message });
  }
  return faults;
}

/** A kernel that fits nowhere, and a transposed size that is none. */
function faultAxis(problem, axis) {
  const [before, after] = problem.padding[axis];
  const [stride, dilation] = [problem.stride[axis], problem.dilation[axis]];
  const span = spanOf(problem, axis);
  const where = `on spatial axis ${axis}`;
  if (!problem.transposed) {
    const padded = paddedLength(problem, axis);
    if (padded >= span) return [];
    const sum = `(${problem.size[axis]} + ${before} + ${after})`;
    const message = `the kernel spans ${span} and padded x only ${padded} ${where} ${sum}.`;
    return [{ field: "kernelSize", message }];
  }
  const faults = [];
  if (problem.mode !== "zeros" && axis === 0) {
    const message = `padding_mode is '${problem.mode}': conv_transpose crops, and knows zeros alone.`;
    faults.push({ field: "mode", message });
  }
  const more = problem.outputPadding[axis];
  if (more < 0 || more >= Math.max(stride, dilation)) {
    const steps = `where stride is ${stride} and dilation ${dilation}`;
    faults.push({ field: "outputPadding", message: `output_padding is ${more} ${where}, ${steps}.` });
  }
  const length = outSize(problem)[axis];
  if (length < 1) {
    const message = `padding (${before}, ${after}) leaves the spatial size ${length} ${where}.`;
    faults.push({ field: "padding", message });
  }
  return faults;
}

/** Axes that the layout does not name, and that are not of length 1. */
function faultLayout({ layout, batch, inChannels, outChannels, size, kernelSize, padding }) {
  const faults = [];
  const say = (letter, text) => {
    faults.push({ field: "layout", message: `layout '${layout}' has no ${letter}: ${text}.` });
  };
  if (!layout.includes("N") && batch !== 1) say("N", `it holds one image, not ${batch}`);
  if (!layout.includes("C") && (inChannels !== 1 || outChannels !== 1)) {
    say("C", `it holds one channel, not ${inChannels} to ${outChannels}`);
  }
  const flat = size[0] === 1 && kernelSize[0] === 1 && padding[0].every((side) => side === 0);
  if (!layout.includes("H") && !flat) say("H", "size, kernel_size and padding have no rows there");
  return faults;
}

/** Whatever is more than the page can draw. */
function faultDrawn(problem) {
  const faults = [];
  const check = (field, value, most, text, an = "", way = "") => {
    const message = `${text}, and at most ${most}${an} are drawn${way}.`;
    if (value > most) faults.push({ field, message });
  };
  const { batch, inChannels, outChannels, size, kernelSize, padding } = problem;
  const [axis, crop] = [" an axis", ": npconv explain --crop ROW,COLUMN,HEIGHT,WIDTH takes a part"];
  check("batch", batch, LIMITS.batch, `x has ${batch} images`);
  check("inChannels", inChannels, LIMITS.channels, `x has ${inChannels} channels`);
  check("outChannels", outChannels, LIMITS.channels, `out has ${outChannels} channels`);
  check("size", Math.max(...size), LIMITS.size, `x is ${size.join("x")} cells`, axis, crop);
  check("kernelSize", Math.max(...kernelSize), LIMITS.kernel, `the kernel is ${kernelSize.join("x")}`, axis);
  const sides = padding.flat().map(Math.abs);
  check("padding", Math.max(...sides), LIMITS.padding, `padding is ${Math.max(...sides)} a side`);
  const made = outSize(problem);
  check("size", Math.max(...made), LIMITS.out, `out is ${made.join("x")} cells`, axis);
  const cells = batch * Math.max(inChannels * size[0] * size[1], outChannels * made[0] * made[1]);
  check("batch", cells, LIMITS.cells, `x or out has ${cells} cells in all`);
  return faults;
}
