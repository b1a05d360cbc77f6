// The controls of the geometry: every number of the problem, what is wrong with it, and presets.

import { button, el, replace, select, slider, toggle } from "./dom.js";
import { defaultProblem, LIMITS, MODES } from "./geometry.js";

/** Ready-made geometries: [name, hint, what differs from the default problem]. */
export const PRESETS = [
  ["3×3 same", "out is as large as x", {}],
  ["stride 2", "every second window; the last column is never read", { size: [7, 8], stride: [2, 2],
    padding: [[1, 1], [0, 0]] }],
  ["dilated", "the kernel with holes", { size: [9, 9], dilation: [2, 2], padding: [[2, 2], [2, 2]] }],
  ["depthwise", "each channel has a kernel of its own", { outChannels: 3, groups: 3 }],
  ["grouped", "channels in two groups that never meet", { inChannels: 4, outChannels: 4, groups: 2,
    size: [6, 6] }],
  ["1×1", "channels are mixed, places are not", { kernelSize: [1, 1], outChannels: 4,
    padding: [[0, 0], [0, 0]] }],
  ["reflect", "padded cells mirror x", { mode: "reflect", padding: [[2, 2], [2, 2]], inChannels: 2,
    kernelSize: [5, 5] }],
  ["crop", "negative padding cuts cells off", { padding: [[-1, -1], [-1, -1]] }],
  ["asymmetric", "each axis, and each side, its own", { size: [5, 9], kernelSize: [2, 4],
    stride: [1, 2], padding: [[0, 1], [2, 1]], inChannels: 2 }],
  ["transposed stride 2", "each cell of x stamps the kernel", { transposed: true, size: [4, 4],
    stride: [2, 2], inChannels: 2, outputPadding: [1, 1] }],
  ["1-D", "one axis", { size: [1, 16], kernelSize: [1, 3], padding: [[0, 0], [1, 1]],
    inChannels: 2 }],
];

/** Return { element, refresh } of the row of preset buttons. */
export function createPresets(store) {
  const nodes = PRESETS.map(([name, hint, patch]) => button(name, () => {
    store.set({ problem: { ...defaultProblem(), ...patch }, focus: null, n: 0 });
  }, { class: "preset", title: hint, "aria-pressed": "false" }));
  const refresh = () => {
    const wanted = JSON.stringify(controlsKey(store.get().wanted));
    nodes.forEach((node, at) => {
      const own = JSON.stringify(controlsKey({ ...defaultProblem(), ...PRESETS[at][2] }));
      node.setAttribute("aria-pressed", String(own === wanted));
    });
  };
  refresh();
  return { element: el("div", { class: "presets", role: "group", "aria-label": "Examples" }, nodes),
    refresh };
}

function controlsKey(problem) {
  return Object.keys(defaultProblem()).map((name) => problem[name]);
}

/** Return { element, refresh } of all controls of the geometry, in three groups. */
export function createControls(store) {
  const wanted = () => store.get().wanted;
  const set = (patch) => store.set({ problem: patch });
  const one = (label, key, max, hint) => controlsFault(store, key, slider(label, { hint, min: 1,
    max: () => Math.max(max, wanted()[key]), get: () => wanted()[key],
    set: (value) => set({ [key]: value }) }));
  const both = (label, key, options) => controlsFault(store, key, controlsAxes(label, {
    get: () => wanted()[key], set: (pair) => set({ [key]: pair }), ...options }));
  const more = both("output padding", "outputPadding", { min: 0, max: 3, linked: true,
    hint: "Rows and columns added at the end, to reach the size that a stride rounded away." });
  const parts = [
    ["x, the input", [both("size", "size", { min: 1, max: LIMITS.size }),
      one("channels", "inChannels", LIMITS.channels), one("images", "batch", LIMITS.batch),
      slider("image shown", { min: 0, max: () => store.get().problem.batch - 1,
        get: () => store.get().n, set: (n) => store.set({ n }) })]],
    ["weight, the kernels", [both("kernel", "kernelSize", { min: 1, max: LIMITS.kernel, linked: true }),
      one("outputs", "outChannels", LIMITS.channels, "How many kernels, so how many channels of out."),
      one("groups", "groups", LIMITS.channels, "Channels are cut into so many groups that never meet."),
      both("dilation", "dilation", { min: 1, max: 6, linked: true,
        hint: "Distance between neighbouring taps of the kernel; 1 leaves no holes." })]],
    ["how it moves", [both("stride", "stride", { min: 1, max: 6, linked: true,
      hint: "Distance between neighbouring windows." }),
    controlsFault(store, "padding", controlsSides(store)),
    controlsFault(store, "mode", select("padding mode", { options: MODES, get: () => wanted().mode,
      set: (mode) => set({ mode }) })),
    toggle("transposed", { get: () => wanted().transposed,
      set: (transposed) => set(controlsTurned(wanted(), transposed)),
      hint: "The adjoint map: each cell of x stamps the kernel on out." }), more]],
  ];
  const layout = controlsFault(store, "layout", { element: el("div"), refresh: () => {} });
  const element = el("div", { class: "controls" }, parts.map(([name, made]) => (
    el("fieldset", { class: "controls-group" }, el("legend", { text: name }),
      made.map((control) => control.element)))), layout.element);
  const refresh = () => {
    parts.forEach(([, made]) => made.forEach((control) => control.refresh()));
    more.element.hidden = !wanted().transposed;
    parts[0][1][3].element.hidden = store.get().problem.batch < 2;
    layout.refresh();
  };
  refresh();
  return { element, refresh };
}

/** What else changes when a problem is transposed: it knows zeros alone, and only it has more rows. */
function controlsTurned(problem, transposed) {
  return transposed ? { transposed, mode: "zeros" } : { transposed, outputPadding: [0, 0] };
}

/** Put beside a control what is wrong with its field, in npconv's words. */
function controlsFault(store, field, control) {
  const fault = el("p", { class: "fault", role: "alert", hidden: true });
  const refresh = () => {
    control.refresh();
    const messages = store.get().faults.filter((one) => one.field === field);
    const text = messages.map(({ message }) => message).join(" ");
    if (fault.textContent !== text) fault.textContent = text;
    fault.hidden = !text;
    control.element.classList.toggle("control-faulty", Boolean(text));
    control.element.querySelectorAll("input, select").forEach((input) => {
      input.setAttribute("aria-invalid", String(Boolean(text)));
    });
  };
  return { element: el("div", { class: "control-held" }, control.element, fault), refresh };
}

/** Two sliders, of rows and columns; linked, one moves both. */
function controlsAxes(label, { get, set, min, max, hint = "", linked = false }) {
  let joined = linked && get()[0] === get()[1];
  const limit = () => Math.max(max, ...get());
  const along = (axis, name) => slider(name, { min, max: limit, hint, get: () => get()[axis],
    set: (value) => set(joined ? [value, value] : get().map((old, at) => (at === axis ? value : old))) });
  const [rows, columns] = [along(0, "rows"), along(1, "columns")];
  const link = controlsLink(label, () => joined, (on) => {
    joined = on;
    if (on) set([get()[1], get()[1]]);
    refresh();
  });
  const element = el("div", { class: "axes", role: "group", "aria-label": label },
    el("div", { class: "axes-head" }, el("span", { class: "axes-name", title: hint || null }, label),
      link.element), rows.element, columns.element);
  const refresh = () => {
    if (get()[0] !== get()[1]) joined = false;
    [rows, columns, link].forEach((part) => part.refresh());
    rows.element.querySelector("label").textContent = joined ? "both" : "rows";
    rows.input.setAttribute("aria-label", `${label}, ${joined ? "rows and columns" : "rows"}`);
    columns.input.setAttribute("aria-label", `${label}, columns`);
    columns.element.hidden = joined;
  };
  refresh();
  return { element, refresh };
}

/** The padding before and after x along both axes; linked, one slider moves all four. */
function controlsSides(store) {
  const get = () => store.get().wanted.padding;
  const set = (padding) => store.set({ problem: { padding } });
  const flat = () => get().flat();
  const same = () => flat().every((side) => side === flat()[0]);
  let joined = same();
  const min = () => Math.min(-4, ...flat());
  const max = () => Math.max(6, ...flat());
  const all = slider("all sides", { min, max, get: () => flat()[0], format: controlsSigned,
    set: (value) => set([[value, value], [value, value]]) });
  all.input.setAttribute("aria-label", "padding, all sides");
  const sides = [["top", 0, 0], ["bottom", 0, 1], ["left", 1, 0], ["right", 1, 1]]
    .map(([name, axis, side]) => {
      const made = slider(name, { min, max, get: () => get()[axis][side], format: controlsSigned,
        set: (value) => set(get().map((pair, a) => pair.map((old, s) => (
          a === axis && s === side ? value : old)))) });
      made.input.setAttribute("aria-label", `padding, ${name}`);
      return made;
    });
  const link = controlsLink("padding", () => joined, (on) => {
    joined = on;
    if (on) set([[flat()[0], flat()[0]], [flat()[0], flat()[0]]]);
    refresh();
  });
  const hint = "Cells added round x before the windows move; negative padding crops.";
  const element = el("div", { class: "axes", role: "group", "aria-label": "padding" },
    el("div", { class: "axes-head" }, el("span", { class: "axes-name", title: hint }, "padding"),
      link.element), all.element, sides.map((side) => side.element));
  const refresh = () => {
    if (!same()) joined = false;
    [all, ...sides, link].forEach((part) => part.refresh());
    all.element.hidden = !joined;
    sides.forEach((side) => { side.element.hidden = joined; });
  };
  refresh();
  return { element, refresh };
}

/** A small switch that joins the sliders of a group. */
function controlsLink(label, get, set) {
  const node = button("", () => set(!get()), { class: "link-switch" });
  const refresh = () => {
    node.setAttribute("aria-pressed", String(get()));
    node.setAttribute("aria-label", `${label}: keep equal`);
    node.title = get() ? "Equal; press to set each by itself" : "Each by itself; press to keep equal";
    replace(node, get() ? "= equal" : "≠ each");
  };
  refresh();
  return { element: node, refresh };
}

function controlsSigned(value) {
  return String(value).replace("-", "−");
}
