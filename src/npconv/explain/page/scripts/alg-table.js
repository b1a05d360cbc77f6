// All algorithms beside each other: what each spends on the problem on screen, or why it cannot.

import { algCosts, ALG_NAMES } from "./alg-costs.js";
import { algCountText } from "./alg-growth.js";
import { el, replace } from "./dom.js";
import { formatBytes, formatSeconds } from "./numbers.js";

const ALG_SHORT = {
  naive: "the definition, as loops: to read, and to check the others against",
  taps: "one product of matrices for each tap of the kernel",
  im2col_loop: "copies window after window, multiplies once: as first taught",
  im2col_index: "gathers the same matrix by index arrays",
  im2col_view: "copies it at once from a strided view",
  im2col_tiled: "copies it some rows at a time, in cache",
  toeplitz: "a row of pixels times a banded matrix: for images of one channel, it multiplies zeros too",
  small: "the loops, compiled, over a table of offsets: for what takes less time than a plan",
  indirect: "im2col of addresses, not values; sums stay in registers",
  depthwise: "a vector's lane for each group: for groups of one channel or one output",
  stencil: "a vector's lane for each neighbour along a line: for single planes at stride 1",
  winograd: "transforms small tiles to save products: for many channels",
  fft: "multiplies spectra: for large kernels",
};

/** Return { name: { macs, nbytes, workspace, seconds, whyNot, near, chosen } } of the problem on screen. */
export function algSpendings(problem, given) {
  if (given.same && given.algorithms) {
    return Object.fromEntries(
      given.algorithms.map((row) => [
        row.name,
        {
          macs: (row.flops ?? 0) / 2,
          nbytes: row.nbytes,
          workspace: row.workspace,
          seconds: row.seconds,
          whyNot: row.why_not,
          chosen: row.chosen,
        },
      ]),
    );
  }
  return algCosts(problem);
}

/** Return { element, refresh(spendings, shown, given) }; onChoose(name) is called by a row's button. */
export function algTable(onChoose, able) {
  const body = el("tbody");
  const caption = el("p", { class: "note" });
  const head = el("thead");
  const element = el(
    "div",
    { class: "stack" },
    el(
      "div",
      {
        class: "scroll alg-table-box",
        role: "region",
        tabIndex: 0,
        "aria-label": "The algorithms compared",
      },
      el(
        "table",
        { class: "numbers alg-table" },
        el("caption", { class: "visually-hidden" }, "What each algorithm spends on the problem on screen"),
        head,
        body,
      ),
    ),
    caption,
  );

  const least = (spendings, key) =>
    Math.min(
      ...Object.values(spendings)
        .filter((one) => !one.whyNot && one[key] > 0)
        .map((one) => one[key]),
    );

  function refresh(spendings, shown, given) {
    const timed = Object.values(spendings).some((one) => one.seconds > 0);
    const columns = [
      ["macs", "multiply-adds", algCountText],
      ["nbytes", "bytes moved", formatBytes],
      ["workspace", "workspace", formatBytes],
      ...(timed ? [["seconds", "time", formatSeconds]] : []),
    ];
    const best = { seconds: least(spendings, "seconds") };
    replace(
      head,
      el(
        "tr",
        {},
        ["algorithm", ...columns.map(([, text]) => text)].map((text) => el("th", { scope: "col", text })),
      ),
    );
    replace(
      body,
      ALG_NAMES.filter((name) => spendings[name]).map((name) => {
        const one = spendings[name];
        const title = able(name)
          ? el("button", {
              type: "button",
              class: "alg-row-button",
              onClick: () => onChoose(name),
              text: name,
            })
          : el("span", { class: "mono", text: name });
        const cells = one.whyNot
          ? [el("td", { colspan: columns.length, class: "alg-why" }, `not here: ${one.whyNot}`)]
          : columns.map(([key, , format]) =>
              el(
                "td",
                { class: one[key] === best[key] ? "is-best" : "" },
                one[key] === undefined || one[key] === null
                  ? "–"
                  : `${one.near && key !== "macs" ? "≈ " : ""}${format(one[key])}`,
              ),
            );
        return el(
          "tr",
          { class: `${shown.includes(name) ? "is-shown" : ""}` },
          el(
            "th",
            { scope: "row" },
            title,
            one.chosen ? el("span", { class: "chip chip-good alg-chosen", text: "npconv takes this" }) : "",
            el("span", { class: "alg-short", text: ALG_SHORT[name] }),
          ),
          cells,
        );
      }),
    );
    caption.textContent = given.same
      ? "npconv's own reckoning for this very problem, in float32. One multiply-add is one " +
        "multiplication and one addition; " +
        "workspace is what is held beside x, weight and out; bytes moved are those of copies and " +
        "passes. indirect and winograd " +
        "count whole vectors of outputs, idle lanes too."
      : "The problem was changed, so the page reckons, by npconv's formulas, in float32. ≈: a " +
        "leading term, where npconv's " +
        "number depends on the processor. No times: those need npconv, print(npconv.plan(x.shape, " +
        "weight.shape, ...)).";
  }
  return { element, refresh };
}
