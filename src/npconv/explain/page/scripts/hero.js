// The head of the page: what one sees, the sum of the sizes, and whether the numbers are right.

import { el, replace } from "./dom.js";
import { outShape, sizeFormula, weightShape, xShape } from "./geometry.js";
import { formatCount } from "./numbers.js";

/** Fill the header's title, summary and facts; they follow the store. */
export function mountHero(store, given) {
  const title = document.getElementById("title");
  if (given.title) title.textContent = given.title;
  const shapes = el("p", { class: "shapes" });
  const formula = el("div", { class: "formula", tabIndex: 0, role: "group",
    "aria-label": "Size of the output" });
  const fault = el("div", { class: "fault", role: "status", hidden: true });
  const badge = el("p", {});
  document.getElementById("facts").append(shapes, formula, fault, badge);
  const refresh = () => {
    const state = store.get();
    const { problem } = state;
    document.getElementById("summary").textContent = heroSummary(problem);
    replace(shapes, heroShape("x", xShape(problem)), el("span", { class: "sign" },
      problem.transposed ? "⋆ᵀ" : "⋆"), heroShape("weight", weightShape(problem)),
    el("span", { class: "sign" }, "→"), heroShape("out", outShape(problem)));
    replace(formula, heroSizes(problem));
    fault.hidden = !state.faults.length;
    replace(fault, state.faults.map(({ message }) => el("p", { text: message })));
    replace(badge, heroBadge(state.checked));
  };
  let frame = 0;
  store.subscribe((_, changed) => {
    if (changed.every((key) => key === "focus") || frame) return;
    frame = requestAnimationFrame(() => {
      frame = 0;
      refresh();
    });
  });
  refresh();
}

function heroShape(name, shape) {
  return el("span", {}, el("b", { text: name }), " ",
    el("span", { class: "mono", text: shape.join(" × ") }));
}

/** One sentence in plain words. */
function heroSummary(problem) {
  const { kernelSize, stride, dilation, groups, transposed, inChannels, outChannels } = problem;
  const line = kernelSize[0] === 1 && problem.size[0] === 1;
  const kernel = line ? `kernel of ${kernelSize[1]}` : `${kernelSize.join(" × ")} kernel`;
  const steps = Math.max(...stride) > 1 ? `, stepping by ${heroPair(stride)}` : "";
  const holes = Math.max(...dilation) > 1 ? `, its taps ${heroPair(dilation)} apart` : "";
  const parts = groups > 1 ? ` in ${groups} groups` : "";
  const named = `${inChannels} ${inChannels === 1 ? "channel" : "channels"}`;
  if (transposed) {
    return `Every cell of the input is poured through a ${kernel}${steps}${holes}, from ${named} `
      + `to ${outChannels}${parts}: the adjoint of a convolution.`;
  }
  return `A ${kernel} slides over ${named}${steps}${holes}, and makes ${outChannels}${parts}. `
    + "Every number of the output is one sum of products.";
}

function heroPair([rows, columns]) {
  return rows === columns ? String(rows) : `${rows} and ${columns}`;
}

/** The size formula with its numbers: one line an axis, or one for both. */
function heroSizes(problem) {
  const texts = [0, 1].map((axis) => sizeFormula(problem, axis).text
    .replaceAll("*", "·").replaceAll("-", "−").replace(/floor\((.*)\) \+ 1/, "⌊$1⌋ + 1"));
  const flat = problem.size[0] === 1 && problem.kernelSize[0] === 1;
  const lines = flat ? [["columns", texts[1]]] : [["rows", texts[0]], ["columns", texts[1]]];
  if (!flat && texts[0] === texts[1]) lines.splice(0, 2, ["rows and columns", texts[0]]);
  return lines.map(([name, text]) => {
    const at = text.lastIndexOf("=");
    return el("div", {}, `${name} = ${text.slice(0, at)}= `, el("b", { text: text.slice(at + 2) }));
  });
}

function heroBadge(checked) {
  if (!checked) return [];
  if (checked.equal) {
    return el("span", { class: "chip chip-good", id: "badge" },
      `${formatCount(checked.count)} values equal npconv's`);
  }
  return el("span", { class: "chip chip-bad", id: "badge" },
    "This page's arithmetic differs from npconv's");
}
