// The algorithms: one panel each, over the problem on screen; then all of them compared.

import { algFftPanel } from "./alg-fft.js";
import { algGrowth, algGrowthCharts, algCountText } from "./alg-growth.js";
import { algIndexPanel } from "./alg-index.js";
import { algIndirectPanel } from "./alg-indirect.js";
import { algLoopPanel } from "./alg-loop.js";
import { algModel } from "./alg-model.js";
import { algNaivePanel } from "./alg-naive.js";
import { algSpendings, algTable } from "./alg-table.js";
import { algTapsPanel } from "./alg-taps.js";
import { algTiledPanel } from "./alg-tiled.js";
import { algTourPanel } from "./alg-tour.js";
import { algViewPanel } from "./alg-view.js";
import { algWinogradPanel } from "./alg-winograd.js";
import { button, el, replace, select, tabs } from "./dom.js";
import { outSize } from "./geometry.js";
import { formatBytes } from "./numbers.js";

// A panel is { id, label, names, idea, memory, mount(host, { model, given, kept }) -> { refresh, stop } }.
const ALG_PANELS = [
  algTourPanel,
  algNaivePanel,
  algTapsPanel,
  algLoopPanel,
  algIndexPanel,
  algViewPanel,
  algTiledPanel,
  algFftPanel,
  algWinogradPanel,
  algIndirectPanel,
];

/**
 * Fill host with the view of the algorithms.
 *
 * A panel is built when it is first shown, and again when the problem's geometry changes; other
 * changes repaint it. Nothing is drawn while the view is off the screen.
 */
export function mountAlgorithms(host, store, given) {
  let [shown, group, visible, stale] = ["tour", 0, false, "mount"];
  let mounted = null;
  let model = null;
  const kept = {}; // what a panel remembers when it is built anew
  const source = { ...given, same: true };
  const bodies = Object.fromEntries(ALG_PANELS.map(({ id }) => [id, el("div", { class: "alg-panel" })]));
  const choose = (id) => {
    shown = id;
    bar.refresh();
    want("mount");
  };
  const bar = tabs(
    "Algorithms",
    ALG_PANELS.map(({ id, label }) => ({ id, label, panel: bodies[id] })),
    { get: () => shown, set: choose },
  );
  const groups = select("Group of channels", {
    options: () =>
      Array.from({ length: store.get().problem.groups }, (_, at) => ({
        value: String(at),
        label: String(at),
      })),
    get: () => String(group),
    set: (value) => {
      group = Number(value);
      want("mount");
    },
  });
  const table = algTable(
    (name) => {
      choose(ALG_PANELS.find((panel) => panel.names.includes(name)).id);
      bar.element.scrollIntoView({ block: "start" });
    },
    (name) => ALG_PANELS.some((panel) => panel.names.includes(name)),
  );
  const charts = algGrowthCharts();
  const growthNote = el("p", { class: "note" });
  host.classList.add("stack", "alg");
  replace(
    host,
    el("div", { class: "controls alg-one-control" }, groups.element),
    el("div", { class: "panel" }, bar.element),
    el(
      "div",
      { class: "panel stack" },
      el("h3", { class: "panel-title", text: "All of them, for the problem on screen" }),
      table.element,
    ),
    el(
      "div",
      { class: "panel stack" },
      el("h3", { class: "panel-title", text: "How they grow" }),
      growthNote,
      charts.element,
    ),
  );

  /** Ask for "mount" (build anew) or "paint"; done at once if the view is seen, else when it is. */
  function want(what) {
    if (stale !== "mount") stale = what;
    if (visible) work();
  }

  function work() {
    const what = stale;
    stale = "";
    const state = store.get();
    source.same = algSame(state.problem, given.problem);
    groups.element.parentNode.hidden = state.problem.groups < 2 || state.problem.transposed;
    groups.refresh();
    if (!state.problem.transposed) model = algModel(state, group);
    if (what === "mount") mount(state);
    else mounted?.refresh();
  }

  function mount(state) {
    mounted?.stop();
    mounted = null;
    const panel = ALG_PANELS.find(({ id }) => id === shown);
    const body = bodies[shown];
    Object.values(bodies).forEach((other) => other.replaceChildren());
    const forward = algForward(state.problem);
    const spendings =
      source.same || !state.problem.transposed
        ? algSpendings(state.problem, source)
        : algSpendings(forward, source);
    source.whyNot = spendings[panel.names[0]]?.whyNot ?? "";
    if (panel.idea) body.append(algHead(panel, spendings, given));
    if (state.problem.transposed) body.append(algTransposedNote(store));
    else {
      const place = el("div", { class: `alg-body alg-${panel.id}` });
      body.append(place);
      mounted = panel.mount(place, { model: () => model, given: source, kept: (kept[shown] ??= {}) });
    }
    const names = panel.names.length ? panel.names : ["im2col_view"];
    table.refresh(spendings, panel.names, source);
    const growth = algGrowth(source.same ? state.problem : forward, source);
    charts.refresh(growth, names, Math.round(Math.sqrt(forward.size[0] * forward.size[1])));
    const [first, last] = [growth.sides[0], growth.sides[growth.sides.length - 1]];
    growthNote.textContent =
      `Both axes are logarithmic: across, the side of the image from ${first} to ${last}, ` +
      `the rest of the problem as it is. Strong: ${names.join(", ")}; the dot is this problem.`;
  }

  store.subscribe((_, changed) => {
    if (changed.includes("problem")) want("mount");
    else if (["x", "weight", "edits", "n", "bias", "gradOut"].some((key) => changed.includes(key)))
      want("paint");
  });
  new IntersectionObserver(
    (entries) => {
      visible = entries.some((entry) => entry.isIntersecting);
      if (visible && stale) work();
      if (!visible) mounted?.stop();
    },
    { rootMargin: "200px" },
  ).observe(host);
}

/** Return the head of a panel: its idea, what is in memory, and what it spends now. */
function algHead({ names: [name], idea, memory }, spendings, given) {
  const one = spendings[name] ?? {};
  const whenNot = given.algorithms?.find((row) => row.name === name)?.when_not;
  const fact = (name, text) =>
    el("div", { class: "alg-fact" }, el("dt", { text: name }), el("dd", { text }));
  const near = one.near ? "≈ " : "";
  return el(
    "div",
    { class: "alg-head" },
    el("h3", { class: "alg-name", text: name }),
    el("p", { class: "alg-idea", text: idea }),
    one.whyNot
      ? el("p", { class: "fault", text: `npconv does not take it here: ${one.whyNot}.` })
      : el(
          "dl",
          { class: "alg-facts" },
          fact("multiply-adds", algCountText(one.macs ?? 0)),
          fact("bytes moved", `${near}${formatBytes(one.nbytes ?? 0)}`),
          fact("workspace", `${near}${formatBytes(one.workspace ?? 0)}`),
        ),
    el("p", { class: "alg-memory" }, el("b", { text: "In memory: " }), memory),
    whenNot ? el("p", { class: "alg-memory" }, el("b", { text: "When not to use it: " }), whenNot) : "",
  );
}

function algTransposedNote(store) {
  return el(
    "div",
    { class: "stack" },
    el("p", {
      class: "note",
      text:
        "A transposed convolution is the input gradient of the " +
        "convolution with these numbers: every algorithm runs backwards, adding where it copied. " +
        "The panels draw the way forward.",
    }),
    el(
      "div",
      {},
      button("Show the convolution itself", () =>
        store.set({ problem: { transposed: false, outputPadding: [0, 0] } }),
      ),
    ),
  );
}

/** Return the problem that is reckoned: of a transposed one, the convolution it is adjoint to. */
function algForward(problem) {
  if (!problem.transposed) return problem;
  return {
    ...problem,
    transposed: false,
    size: outSize(problem),
    inChannels: problem.outChannels,
    outChannels: problem.inChannels,
    outputPadding: [0, 0],
  };
}

/** Whether the problem on screen is the one npconv wrote the page for, but for what costs nothing. */
function algSame(problem, written) {
  const names = [
    "batch",
    "inChannels",
    "outChannels",
    "size",
    "kernelSize",
    "stride",
    "padding",
    "dilation",
    "groups",
    "mode",
    "transposed",
    "outputPadding",
    "layout",
  ];
  return names.every((name) => JSON.stringify(problem[name]) === JSON.stringify(written[name]));
}
