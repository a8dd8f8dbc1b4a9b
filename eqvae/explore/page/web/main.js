// What is shown at first, the bar at the top, and keys of the whole page.
"use strict";

(() => {
  const { table, map } = explorer, colour = element("colour");
  const count = explorer.received.about.count, kind = explorer.received.about.map.kind;
  element("count").textContent = `${count.toLocaleString("en")} images`;
  element("hint").textContent = kind === "pca" ? "content, principal directions 1 and 2" : "content, UMAP";

  const group = (label, names) => {
    const box = Object.assign(document.createElement("optgroup"), { label });
    for (const name of names) box.append(new Option(table.label(name), name));
    if (names.length) colour.append(box);
  };
  const rest = table.names.filter((name) => !table.content.includes(name) && table.type(name) !== "text");
  group("Kinds", rest.filter((name) => table.type(name) === "kind"));
  group("Numbers", rest.filter((name) => table.type(name) === "number"));
  group("Content", table.content);
  colour.value = ["cluster", "class", "label"].find((name) => table.has(name)) ?? rest[0] ?? table.content[0];
  colour.onchange = () => (explorer.tell("colour", explorer.colours.of(colour.value)), map.refit());

  for (const name of ["marks", "view", "tool"])
    element(name).onchange = (event) => explorer.tell(name, event.target.value);
  const choose = (name, value) => {
    document.querySelector(`input[name=${name}][value=${value}]`).checked = true;
    explorer.tell(name, value);
  };
  element("zoom").onclick = ({ target }) => {
    const steps = { in: () => map.zoom(1.5), out: () => map.zoom(1 / 1.5), all: map.fit };
    steps[target.dataset.zoom]?.();
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input[type=text]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") explorer.tell("selected", []);
    if (event.key.toLowerCase() === "l") choose("tool", "lasso");
    if (event.key.toLowerCase() === "v") choose("tool", "pan");
  });

  explorer.tell("colour", explorer.colours.of(colour.value));
  map.resize();
  new ResizeObserver(map.resize).observe(element("map"));
  requestAnimationFrame(() => setTimeout(start, 0)); // after the first paint
  function start() {
    explorer.tell("chosen", map.middle());
    explorer.startObject();
  }
})();
