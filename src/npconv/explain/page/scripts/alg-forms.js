// The matrices of Winograd's short convolutions, as npconv wrote them into the page.

import { el } from "./dom.js";

/** Return the greatest common divisor of two whole numbers. */
function algDivisor(a, b) {
  return b ? algDivisor(b, a % b) : a;
}

/** Return F(1, r): the definition itself, which serves where there is nothing to save. */
function algDefinition(r, stride) {
  const square = Array.from({ length: r }, (_, i) => Array.from({ length: r }, (__, j) => Number(i === j)));
  return { m: 1, r, stride, products: r, BT: square, G: square, AT: [Array(r).fill(1)] };
}

/**
 * Return { axes: [rows, columns] } of the forms to draw for a problem, or { refused } with the reason.
 *
 * Each axis is { m, r, stride, products, BT, G, AT, span, leap }; leap: outputs from one of a tile to
 * the next, above 1 where a dilation leaves separate convolutions of every d-th element.
 */
export function algChosenForms(problem, given) {
  const known = [...(given.extras?.winograd?.tiles ?? []), ...(given.extras?.winograd?.chosen ?? [])];
  const axes = problem.kernelSize.map((r, axis) => {
    const shared = algDivisor(problem.stride[axis], problem.dilation[axis]);
    const stride = problem.stride[axis] / shared;
    const fits = known.filter((form) => form.r === r && form.stride === stride && form.m > 1);
    const form = fits.find(({ m }) => m === 2) ?? fits[0] ?? algDefinition(r, stride);
    return { ...form, span: form.BT[0].length, leap: problem.dilation[axis] / shared };
  });
  if (axes.every(({ m }) => m === 1)) return { refused: algFormRefusal(problem) };
  return { axes };
}

function algFormRefusal({ kernelSize, stride }) {
  if (kernelSize.every((k) => k === 1))
    return "Not for this problem: a 1×1 kernel has one product an output already.";
  if (kernelSize.some((k) => k > 7)) return "Not for this problem: its kernels have up to 7 taps an axis.";
  if (stride.some((s) => s > 2))
    return "Not for this problem: tiles of this kernel and stride save no products.";
  const wanted = `${kernelSize.join("×")} at stride ${stride.join("×")}`;
  return (
    "The tiles drawn here are those of 3×3 kernels at stride 1, or of the kernel that the page was " +
    `written for. For ${wanted}, write a page with it: npconv explain.`
  );
}

/** Whether two axes have the same form. */
export function algSameForm(one, other) {
  return one.m === other.m && one.r === other.r && one.stride === other.stride;
}

/** Return the first outputs of the tiles along an axis of `count` outputs. */
export function algTileStarts(count, { m, leap }) {
  const starts = [];
  for (let phase = 0; phase < Math.min(leap, count); phase += 1) {
    for (let first = phase; first < count; first += leap * m) starts.push(first);
  }
  return starts.sort((a, b) => a - b);
}

/** Return the product of two matrices, lists of rows. */
export function algMultiply(left, right) {
  return left.map((row) =>
    right[0].map((_, j) => row.reduce((sum, value, k) => sum + value * right[k][j], 0)),
  );
}

/** Return a matrix turned round its diagonal. */
export function algTurned(matrix) {
  return matrix[0].map((_, j) => matrix.map((row) => row[j]));
}

const ALG_FORM_NAMES = {
  BT: ["Bᵀ", "for the tile of x"],
  G: ["G", "for the weight"],
  AT: ["Aᵀ", "for the result"],
};

/** Return a transform's matrix as a small table: fractions as npconv holds them. */
export function algFormMatrix(name, form) {
  const rows = form.text?.[name] ?? form[name].map((row) => row.map(String));
  const [letter, what] = ALG_FORM_NAMES[name];
  return el(
    "figure",
    { class: "alg-form" },
    el("figcaption", {}, el("b", { text: letter }), ` of F(${form.m}, ${form.r}), ${what}`),
    el(
      "table",
      { class: "alg-form-table" },
      el(
        "tbody",
        {},
        rows.map((row) =>
          el(
            "tr",
            {},
            row.map((value) =>
              el("td", { class: value === "0" ? "is-zero" : "", text: value.replace("-", "−") }),
            ),
          ),
        ),
      ),
    ),
  );
}
