// What the tour of im2col says, step by step, of the problem on screen.

import { algTerm } from "./alg-kit.js";
import { el } from "./dom.js";
import { formatCount, formatNumber } from "./numbers.js";

/** The steps: a title, and text(model). */
export const ALG_TOUR_STEPS = [
  {
    title: "One output is one window",
    text: ({ terms, problem, channels }) =>
      `Lay the ${problem.kernelSize.join("×")} kernel over a window of x` +
      `${channels > 1 ? `, all ${channels} channels of it` : ""}. Multiply each number by the weight that ` +
      `lies on it and add up the ${terms} products: that is one number of out. Point at another ` +
      "number of " +
      "out, or of x, and see its window.",
  },
  {
    title: "Write the window as a row",
    text: ({ terms, last, channels }) =>
      `Take the same ${terms} numbers and write them side by side` +
      `${channels > 1 ? (last ? ", pixel after pixel" : ", channel after channel") : ", line after line"}. ` +
      `What was a little picture is now one row of ${terms} numbers. Nothing is computed yet: it ` +
      "is only a copy. " +
      "Point at a number of the row to see where it came from.",
  },
  {
    title: "Do it for every window",
    text: ({ rows, terms, problem, channels }) => {
      const own = channels * problem.size[0] * problem.size[1];
      return (
        `${rows} windows give ${rows} rows. This is im2col, “image to columns”. Windows overlap, ` +
        "so the same " +
        `number is written several times: the ${formatCount(own)} numbers of x become ` +
        `${formatCount(rows * terms)}` +
        `${own ? `, ${formatNumber((rows * terms) / own, 2)} times as many` : ""}. That memory is the price.`
      );
    },
  },
  {
    title: "Write each kernel as a column",
    text: ({ outs, terms }) =>
      `The weights of one output channel, in the same order, become a column of ${terms} numbers. ` +
      `${outs} output channel${outs === 1 ? "" : "s"}: ${outs} column${outs === 1 ? "" : "s"}. ` +
      "Entry k of a row and " +
      "entry k of a column are the pair that lay on top of each other in step 1.",
  },
  {
    title: "One product of two matrices",
    text: ({ rows, terms, outs }) =>
      "A row times a column is the very sum of step 1. So the whole convolution is one " +
      `product of matrices, (${rows} × ${terms}) times (${terms} × ${outs}), which computers do ` +
      "faster than anything " +
      "else. Fold each column of the result back into a picture: that is out. Point anywhere, or " +
      "press Play.",
  },
];

const ALG_TOUR_TERMS = 8; // products that are written out

/** Return an entry of the patch matrix in words: its number, and where it came from. */
export function algTourSaid(model, r, k) {
  const { c, h, w, sh, value } = model.read(r, k);
  const from = sh < 0 ? "a padded zero" : `x, channel ${model.firstChannel + c}, row ${h}, column ${w}`;
  return `window ${r}, entry ${k}: ${formatNumber(value)}, ${from}`;
}

/** Return the sum of a window and a kernel as nodes: the pair pointed at is strong. */
export function algTourSum(model, r, o, k) {
  const [i, j] = model.cell(r);
  const bias = model.bias[model.firstOut + o];
  const entries = model.columns.map((_, at) => at);
  const worth = entries.filter((at) => at === k || (model.patch(r, at) !== 0 && model.kernel(at, o) !== 0));
  const from = Math.max(Math.min(worth.indexOf(k) - 3, worth.length - ALG_TOUR_TERMS), 0);
  const terms = worth
    .slice(from, from + ALG_TOUR_TERMS)
    .map((at, place) => [
      place || from ? " + " : "",
      el(at === k ? "strong" : "span", { text: algTerm(model.patch(r, at), model.kernel(at, o)) }),
    ]);
  const zeros = model.terms - worth.length;
  return [
    `out[${model.firstOut + o}, ${i}, ${j}] = `,
    from ? "… " : "",
    worth.length ? terms : "0",
    from + ALG_TOUR_TERMS < worth.length ? " + … " : "",
    " = ",
    el("strong", { text: formatNumber(model.product(r, o)) }),
    zeros ? el("span", { class: "alg-aside", text: `   (${zeros} more are 0)` }) : "",
    bias ? `, and bias ${formatNumber(bias)} makes ${formatNumber(model.written(r, o))}` : "",
  ];
}
