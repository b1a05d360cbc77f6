// The gradients of out that are ready to be poured: buttons, and one cell wherever it is asked for.

import { button, el } from "./dom.js";
import { createGenerator } from "./numbers.js";

const BACK_GRADIENTS = [
  ["as given", "the numbers that the page came with"],
  ["ones", "the gradient of the sum of out"],
  ["one cell", "a single 1: the kernel's shape shows on grad_x"],
  ["checkerboard", "1 and −1 in turns"],
  ["random", "small whole numbers; each press draws anew"],
];

/** Return { element, refresh, pourAt } of the buttons that fill grad_out. */
export function createGradients(store) {
  let seed = 0;
  const fill = (name) => {
    if (name === "as given") store.set({ edits: { gradOut: {} } });
    else store.set({ gradOut: backGradient(store.get(), name, seed) });
  };
  const nodes = BACK_GRADIENTS.map(([name, hint]) => button(name, () => {
    if (name === "random") seed += 1;
    fill(name);
  }, { class: "preset", title: hint, "aria-pressed": "false" }));
  const refresh = () => {
    const state = store.get();
    const drawn = state.gradOut.data.join();
    const poured = state.gradOut.data.filter((value) => value !== 0);
    const given = !Object.keys(state.edits.gradOut).length;
    nodes.forEach((node, at) => {
      const [name] = BACK_GRADIENTS[at];
      const on = name === "as given" ? given : name === "one cell" ? poured.join() === "1"
        : drawn === backGradient(state, name, seed).join();
      node.setAttribute("aria-pressed", String(on));
    });
  };
  /** Make grad_out 1 at a focus and 0 elsewhere. */
  const pourAt = ({ n, o, i, j }) => {
    const { gradOut } = store.get();
    const data = new Array(gradOut.data.length).fill(0);
    data[gradOut.index(n, o, i, j)] = 1;
    store.set({ gradOut: data });
  };
  const element = el("div", { class: "presets", role: "group", "aria-label": "grad_out" },
    el("span", { class: "back-label", text: "grad_out" }), nodes);
  return { element, refresh, pourAt };
}

/** Return the numbers of a ready-made grad_out, in row-major order. */
function backGradient({ gradOut, n }, name, seed) {
  const [, channels, rows, columns] = gradOut.shape;
  const generator = createGenerator(1000 + seed);
  const middle = gradOut.index(n, 0, Math.floor((rows - 1) / 2), Math.floor((columns - 1) / 2));
  return Array.from({ length: gradOut.data.length }, (_, at) => {
    if (name === "ones") return 1;
    if (name === "one cell") return Number(at === middle);
    if (name === "random") return Math.floor(generator() * 7) - 3;
    const [i, j] = [Math.floor(at / columns) % rows, at % columns];
    const o = Math.floor(at / (rows * columns)) % channels;
    return (i + j + o) % 2 ? -1 : 1;
  });
}
