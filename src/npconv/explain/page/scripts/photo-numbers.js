// The table of a kernel's numbers, to be changed by hand.

import { choices, el, replace } from "./dom.js";
import { formatNumber } from "./numbers.js";
import { photoResized } from "./photo-kernels.js";

/** Return { element, refresh } of the table; get() returns the kernel and set(kernel) takes one. */
export function photoNumbers({ get, set }) {
  const table = el("div", { class: "photo-numbers", role: "group", "aria-label": "Kernel numbers" });
  const sizes = choices("Size", { options: [3, 5, 7].map((side) => (
    { value: side, label: `${side} × ${side}` })), get: () => get().side,
  set: (side) => {
    const kernel = get();
    set({ ...kernel, side, numbers: photoResized(kernel.numbers, kernel.side, kernel.side, side) });
  }, visible: false });
  const divisor = el("input", { class: "number", type: "text", inputmode: "decimal",
    "aria-label": "Divide the sum by", onInput: () => {
      const value = photoRead(divisor);
      if (value) set({ ...get(), divisor: value });
      divisor.setAttribute("aria-invalid", String(!value));
    }, onBlur: () => refresh() });
  const element = el("div", { class: "stack photo-edit" }, sizes.element, table,
    el("div", { class: "row" }, el("span", { class: "control-label", "aria-hidden": true },
      "divided by"), divisor));
  let inputs = [];

  function fit(side) {
    if (inputs.length === side * side) return;
    inputs = Array.from({ length: side * side }, (_, at) => {
      const [row, column] = [Math.floor(at / side), at % side];
      const input = el("input", { type: "text", inputmode: "decimal", autocomplete: "off",
        "aria-label": `row ${row}, column ${column}`,
        onInput: () => {
          const value = photoRead(input);
          input.setAttribute("aria-invalid", String(value === null));
          if (value === null) return;
          const { numbers, ...rest } = get();
          set({ ...rest, numbers: numbers.map((old, each) => (each === at ? value : old)) });
        },
        onFocus: () => input.select(), onBlur: () => refresh(),
        onKeydown: (event) => move(event, row, column) });
      return input;
    });
    table.style.setProperty("--side", side);
    replace(table, inputs);
  }

  /** Up and down go to the number above and below; sideways arrows stay with the text. */
  function move(event, row, column) {
    const { side } = get();
    const to = row + ({ ArrowUp: -1, ArrowDown: 1 }[event.key] ?? NaN);
    if (!(to >= 0 && to < side)) return;
    event.preventDefault();
    inputs[to * side + column].focus();
  }

  function refresh() {
    const kernel = get();
    fit(kernel.side);
    sizes.refresh();
    const most = Math.max(...kernel.numbers.map(Math.abs)) || 1;
    kernel.numbers.forEach((value, at) => {
      const input = inputs[at];
      if (input !== document.activeElement) {
        input.value = formatNumber(value, 3).replace("−", "-");
        input.setAttribute("aria-invalid", "false");
      }
      input.style.setProperty("--tint", `${Math.round((52 * Math.abs(value)) / most)}%`);
      input.dataset.sign = value < 0 ? "negative" : "positive";
    });
    if (divisor !== document.activeElement) {
      divisor.value = formatNumber(kernel.divisor, 6).replace("−", "-");
    }
  }

  refresh();
  return { element, refresh };
}

/** Return the number in an input, or null; fractions such as 1/9 are numbers too. */
function photoRead(input) {
  const text = input.value.trim().replaceAll("−", "-").replace(",", ".");
  const parts = text.split("/").map((part) => (part.trim() === "" ? NaN : Number(part)));
  const value = parts.length === 2 ? parts[0] / parts[1] : parts.length === 1 ? parts[0] : NaN;
  return Number.isFinite(value) ? value : null;
}
