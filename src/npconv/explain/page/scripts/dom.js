// Elements and controls: what every view builds its part of the page from.

/**
 * Return an element. props: attributes by name ("aria-label"), `class`, `text`, `dataset`, `style`
 * (an object), properties (value, checked, disabled, hidden ...) and listeners (onClick ...).
 * Children are nodes, texts, or lists of them; null and false are left out.
 */
export function el(tag, props = {}, ...children) {
  return domFill(document.createElement(tag), props, children);
}

/** Return an SVG element; props and children as those of el. */
export function svg(tag, props = {}, ...children) {
  return domFill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}

const DOM_PROPERTIES = ["value", "checked", "disabled", "hidden", "tabIndex", "htmlFor", "selected"];

function domFill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined) continue;
    if (name === "text") node.textContent = value;
    else if (name === "class") node.setAttribute("class", value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") {
      Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
    } else if (/^on[A-Z]/.test(name)) node.addEventListener(name.slice(2).toLowerCase(), value);
    else if (DOM_PROPERTIES.includes(name)) node[name] = value;
    else if (name.startsWith("aria-")) node.setAttribute(name, String(value));
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined
    && child !== false));
  return node;
}

let domCount = 0;

/** Return an id that no other element of the page has: "npconv-size-7". */
export function freshId(stem) {
  domCount += 1;
  return `npconv-${stem}-${domCount}`;
}

/** Empty a node, then append the children. */
export function replace(node, ...children) {
  node.replaceChildren();
  return domFill(node, {}, children);
}

/** Return whether the reader asked for less motion. */
export function reducedMotion() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Return a <button type="button">; props as those of el. */
export function button(text, onClick, props = {}) {
  const { class: extra = "", ...rest } = props;
  return el("button", { type: "button", class: `button ${extra}`.trim(), onClick, ...rest }, text);
}

/**
 * Return { element, refresh } of a labelled range with its value beside it.
 *
 * min, max and step are numbers or functions; get() returns the number and set(number) takes it;
 * format(number) writes it. refresh() reads everything again.
 */
export function slider(label, { min, max, step = 1, get, set, format = String, hint = "" }) {
  const id = freshId("slider");
  const shown = el("output", { class: "control-value", for: id });
  const input = el("input", { type: "range", id, onInput: () => set(Number(input.value)) });
  const name = el("label", { class: "control-label", htmlFor: id, title: hint || null }, label);
  const element = el("div", { class: "control control-slider" }, name, shown, input);
  const refresh = () => {
    const value = get();
    Object.entries({ min, max, step }).forEach(([key, limit]) => { input[key] = domRead(limit); });
    input.value = value;
    shown.textContent = format(value);
    const share = (value - input.min) / Math.max(input.max - input.min, 1e-9);
    input.style.setProperty("--share", `${Math.min(Math.max(share, 0), 1) * 100}%`);
  };
  refresh();
  return { element, refresh, input };
}

/** Return { element, refresh } of a labelled list; options are texts or { value, label, disabled }. */
export function select(label, { options, get, set }) {
  const id = freshId("select");
  const input = el("select", { id, class: "select", onChange: () => set(input.value) });
  const name = el("label", { class: "control-label", htmlFor: id }, label);
  const element = el("div", { class: "control control-select" }, name, input);
  let written = "";
  const refresh = () => {
    const made = domRead(options).map(domOption);
    if (JSON.stringify(made) !== written) {
      written = JSON.stringify(made);
      replace(input, made.map((option) => el("option", { value: option.value,
        disabled: Boolean(option.disabled), text: option.label })));
    }
    input.value = String(get());
  };
  refresh();
  return { element, refresh, input };
}

/** Return { element, refresh } of a labelled switch: get() returns and set takes a boolean. */
export function toggle(label, { get, set, hint = "" }) {
  const id = freshId("toggle");
  const input = el("input", { type: "checkbox", role: "switch", id, class: "switch",
    onChange: () => set(input.checked) });
  const name = el("label", { class: "control-label", htmlFor: id, title: hint || null }, label);
  const element = el("div", { class: "control control-toggle" }, input, name);
  const refresh = () => { input.checked = Boolean(get()); };
  refresh();
  return { element, refresh, input };
}

/**
 * Return { element, refresh } of two numbers under one label, as rows and columns or before and after.
 *
 * get() returns [a, b]; set([a, b]) takes whole numbers; names are said of the two inputs.
 */
export function numberPair(label, { min, max, get, set, names = ["rows", "columns"] }) {
  const change = () => {
    const numbers = inputs.map((input) => input.valueAsNumber);
    if (numbers.every(Number.isInteger)) set(numbers);
  };
  const inputs = names.map((name) => el("input", { type: "number", class: "number", step: 1,
    inputmode: "numeric", "aria-label": `${label}, ${name}`, title: name, onInput: change,
    onBlur: () => refresh(true) }));
  const element = el("div", { class: "control control-pair", role: "group", "aria-label": label },
    el("span", { class: "control-label", "aria-hidden": true }, label),
    el("span", { class: "pair" }, inputs));
  const refresh = (always = false) => {
    get().forEach((value, at) => {
      Object.assign(inputs[at], { min: domRead(min), max: domRead(max) });
      // What is being typed is left alone.
      if (always === true || document.activeElement !== inputs[at]) inputs[at].value = value;
      else if (inputs[at].valueAsNumber !== value) inputs[at].value = value;
    });
  };
  refresh(true);
  return { element, refresh, inputs };
}

/** Return { element, refresh } of a short row of choices, one at a time: radio buttons as one bar. */
export function choices(label, { options, get, set, visible = true }) {
  const name = freshId("choice");
  const made = options.map(domOption);
  const inputs = made.map(({ value }) => el("input", { type: "radio", name, value,
    class: "visually-hidden", onChange: () => set(value) }));
  const element = el("fieldset", { class: "control control-choices" },
    el("legend", { class: visible ? "control-label" : "visually-hidden" }, label),
    el("div", { class: "choices" }, made.map((option, at) => el("label", { class: "choice" },
      inputs[at], el("span", { text: option.label })))));
  const refresh = () => inputs.forEach((input, at) => { input.checked = made[at].value === get(); });
  refresh();
  return { element, refresh, inputs };
}

/**
 * Return { element, refresh } of tabs; items are { id, label, panel }, with get() the id shown.
 *
 * Arrow keys, Home and End move between the tabs, as the ARIA practices say.
 */
export function tabs(label, items, { get, set }) {
  const stem = freshId("tab");
  const heads = items.map(({ id, label: text }, at) => el("button", { type: "button", role: "tab",
    class: "tab", id: `${stem}-${id}`, "aria-controls": `${stem}-${id}-panel`,
    onClick: () => set(id), onKeydown: (event) => move(event, at) }, text));
  const panels = items.map(({ id, panel }) => el("div", { role: "tabpanel", class: "tab-panel",
    id: `${stem}-${id}-panel`, "aria-labelledby": `${stem}-${id}` }, panel));
  const move = (event, at) => {
    const last = items.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0,
      End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    set(items[to].id);
    heads[to].focus();
  };
  const refresh = () => {
    const wanted = get();
    const chosen = Math.max(items.findIndex(({ id }) => id === wanted), 0);
    heads.forEach((head, at) => {
      head.setAttribute("aria-selected", String(at === chosen));
      head.tabIndex = at === chosen ? 0 : -1;
      panels[at].hidden = at !== chosen;
    });
  };
  refresh();
  const bar = el("div", { role: "tablist", class: "tablist", "aria-label": label }, heads);
  return { element: el("div", { class: "tabs" }, bar, panels), refresh };
}

/**
 * Return { element, show, say } of the line that writes a cell's arithmetic out.
 *
 * show(...children) is for the eyes, at any rate of change; say(text) is also read aloud, politely,
 * once it has stood still for a moment: call it on focus and on steps, not on every hover.
 */
export function liveLine(props = {}) {
  const shown = el("div", { class: "line" });
  const spoken = el("div", { class: "visually-hidden", "aria-live": "polite" });
  let timer = 0;
  return {
    element: el("div", props, shown, spoken),
    show: (...children) => replace(shown, ...children),
    say: (text) => {
      clearTimeout(timer);
      timer = setTimeout(() => { spoken.textContent = text; }, 200);
    },
  };
}

/** Read a short text aloud, politely, in the page's one region for news ("Copied."). */
export function announce(text) {
  const region = document.getElementById("announcements");
  if (!region) return;
  region.textContent = "";
  setTimeout(() => { region.textContent = text; }, 60);
}

function domRead(value) {
  return typeof value === "function" ? value() : value;
}

function domOption(option) {
  return typeof option === "object" ? option : { value: option, label: String(option) };
}
