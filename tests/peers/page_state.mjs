// Holds the page's store and its links to what they promise.

/** Return the faults found: page is { createStore, encode, decode, ... }, cases what npconv wrote. */
export function checkStates(page, cases) {
  const faults = [];
  const hold = (what, good, more = "") => {
    if (!good) faults.push(`${what} ${more}`);
  };
  const numbers = (state) =>
    ["x", "weight", "gradOut", "out", "gradX", "gradWeight"].map((name) => [...state[name].data])
      .concat([[...state.bias]]);
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  cases.filter((given) => given.out).forEach((given, at) => {
    const first = page.createStore(given);
    hold(`case ${at}: a new store`, page.encode(first.get()) === "", page.encode(first.get()));
    const other = cases.filter((one) => one.out)[(at + 1) % cases.length]?.problem;
    first.edit("x", [0, 0, 0, 0], 7.25);
    first.edit("bias", [0], -3);
    if (other) first.set({ problem: other });
    first.set({ n: 1, view: "photo", theme: "dark" });
    const link = page.encode(first.get());
    const second = page.createStore(given);
    second.set(page.decode(`#${link}`));
    hold(`case ${at}: the link`, page.encode(second.get()) === link, link);
    hold(`case ${at}: numbers of the link`, same(numbers(first.get()), numbers(second.get())), link);
    hold(`case ${at}: its problem`, same(first.get().problem, second.get().problem), link);
    first.set({ problem: given.problem });
    first.edit("x", [0, 0, 0, 0], given.x.data[0]);
    first.edit("bias", [0], given.bias.data[0]);
    first.set({ n: 0, view: "operation", theme: "auto" });
    first.edit("weight", [0, 0, 0, 0], 0);
    hold(`case ${at}: a zero`, first.get().weight.data[0] === 0);
    first.edit("weight", [0, 0, 0, 0], given.weight.data[0]);
    hold(`case ${at}: there and back`, same(numbers(first.get()), numbers(page.createStore(given).get())));
  });

  const given = cases.find((one) => one.out && one.problem.size.every((n) => n > 2));
  const store = page.createStore(given);
  const before = numbers(store.get());
  let heard = 0;
  const stop = store.subscribe(() => { heard += 1; });
  store.set({ problem: { kernelSize: [99, 99] } });
  hold("what is invalid", store.get().faults.length > 0 && same(numbers(store.get()), before));
  hold("what is wanted", store.get().wanted.kernelSize[0] === 99);
  store.reset();
  hold("reset", store.get().faults.length === 0 && page.encode(store.get()) === "");
  hold("listeners", heard === 2, String(heard));
  stop();
  store.set({ focus: { tensor: "x", n: 0, c: 0, i: -1, j: 0 } });
  hold("a listener that left", heard === 2);
  hold("a focus on the padding", store.get().focus?.i === -1);
  store.set({ focus: { tensor: "out", n: 0, o: 99, i: 0, j: 0 } });
  hold("a focus outside", store.get().focus === null);
  const doubled = { ...given.weight, data: given.weight.data.map((value) => 2 * value) };
  store.set({ weight: doubled });
  hold("a whole tensor", same([...store.get().weight.data], doubled.data));
  for (const hash of ["%%%", "size=7", "x=1:2;;", "size=0x0&stride=-1x2&groups=0", null, undefined,
    "x=0.0.0.0:1e999", "__proto__=1", "size=9999x9999&in=9999", "x=__proto__:1", "mode=nonesuch",
    "padding=1,2,3", "theme=pink&n=-1&n=999&view=<b>", "x=0.0.0.0:5:6", "%E0%A4%A", "=&&=="]) {
    try {
      const fresh = page.createStore(given);
      fresh.set(page.decode(hash));
      hold(`rubbish ${hash}`, same(numbers(fresh.get()), before));
    } catch (error) {
      hold(`rubbish ${hash}`, false, String(error));
    }
  }
  return faults;
}
